import type { EventHub, Grant } from '@entitycast/sse-server'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ReceivedFrame } from '../support/frames'
import { testHub } from '../support/hub'
import { ReferencePage } from '../support/reference-page'
import { open, type TestStream } from '../support/stream'
import type { VirtualClock } from '../support/virtual-clock'
import '../../../sse-protocol/test/property/replay'

/*
 * Catching up and live delivery end in the same page: for any events, any grants, and any way in which sockets fill and drain. And
 * a cursor never claims what was not sent: whoever is cut off after any frame that has one, and comes back with it, ends there too.
 */

/** Fills a third of a page, so that pages end everywhere. */
const LARGE = 'x'.repeat(22_000)

interface Publication {
  publish(hub: EventHub, n: number): Promise<string>
  /** How a counterexample shows it. */
  [fc.toStringMethod](): string
}

const where = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ channel: undefined, audience: undefined }) },
  {
    weight: 1,
    arbitrary: fc.record({
      channel: fc.constantFrom(undefined, 'a', 'b'),
      audience: fc.constantFrom(undefined, { users: ['u1'] }, { users: ['u2'] }, { users: ['u1', 'u2'] }),
    }),
  },
)
const size = fc.constantFrom({}, {}, {}, { text: LARGE })

/** A version names one change: of one type, with one content, however often and wherever it is published. */
function changeOf(id: string, version: number): { type: 'created' | 'updated' | 'deleted'; data: object | undefined } {
  if (version % 9 === 8) return { type: 'deleted', data: undefined }
  const fields = ['f0', 'f1', 'f2'].filter((_, bit) => (version * 7 + id.length) & (1 << bit))
  const values = fields.map((field) => [field, `${id}@${version}`])
  const data =
    version % 6 === 5 ? undefined : { ...Object.fromEntries(values), ...(version % 4 === 2 && { text: LARGE }) }
  return { type: version % 9 === 1 ? 'created' : 'updated', data }
}

const versioned = fc
  .record({ id: fc.constantFrom('v', 'vv'), version: fc.nat(20), where })
  .map(({ id, version, where: { channel, audience } }): Publication => {
    const { type, data } = changeOf(id, version)
    const options = { channel, audience, version }
    return {
      publish: (hub) =>
        type === 'deleted'
          ? hub.project('p').deleted('row', id, options)
          : hub.project('p')[type]('row', id, data, options),
      [fc.toStringMethod]: () => `${type} ${id}@${version} ${channel ?? ''} ${audience?.users ?? ''}`,
    }
  })

/** An entity whose changes carry no version: the last one counts. A deletion without one makes even versions begin anew. */
const plain = fc
  .record({
    type: fc.constantFrom('created', 'updated', 'updated', 'updated', 'deleted'),
    id: fc.constantFrom('p', 'q', 'v'),
    data: fc.option(fc.dictionary(fc.constantFrom('f0', 'f1', 'f2', '__proto__'), fc.nat(9)), {
      nil: undefined,
      freq: 6,
    }),
    where,
    size,
  })
  .map(({ type, id, data, where, size }): Publication => {
    const told = () => `${type} ${id} ${JSON.stringify({ data, ...where, large: 'text' in size })}`
    if (type === 'deleted' || id === 'v') {
      const event = { type: 'entity.deleted', entity: 'row', id, projectId: 'p', data, channel: where.channel } as const
      return { publish: (hub) => hub.publish(event, { audience: where.audience }), [fc.toStringMethod]: told }
    }
    return {
      publish: (hub) => hub.project('p')[type]('row', id, data && { ...data, ...size }, where),
      [fc.toStringMethod]: told,
    }
  })

const batch = fc
  .record({
    ids: fc.constantFrom(['p'], ['q'], ['p', 'q']),
    data: fc.option(fc.record({ f0: fc.nat(9) }), { nil: undefined }),
    where,
  })
  .map(
    ({ ids, data, where }): Publication => ({
      publish: (hub) => hub.project('p').batch('row', ids, data, where),
      [fc.toStringMethod]: () => `batch ${ids} ${JSON.stringify({ data, ...where })}`,
    }),
  )

/** Of entities with versions a batch carries them too. Nothing else has these versions. */
const versionedBatch = fc.record({ versions: fc.tuple(fc.nat(9), fc.nat(9)), where }).map(
  ({ versions, where }): Publication => ({
    publish: (hub) =>
      hub
        .project('p')
        .batch('row', ['v', 'vv'], { f1: 'batch' }, { ...where, versions: versions.map((one) => one * 2 + 100) }),
    [fc.toStringMethod]: () => `batch v,vv@${versions.map((one) => one * 2 + 100)} ${JSON.stringify(where)}`,
  }),
)

const fact = fc
  .record({ key: fc.constantFrom(undefined, 'k', 'x'), where, size })
  .map(({ key, where, size }): Publication => {
    const to = where.audience?.users.join()
    return {
      publish: (hub, n) =>
        hub
          .project('p')
          .emit('row:said', { n, key, to, ...size }, { ...where, ...(key !== undefined && { conflateKey: key }) }),
      [fc.toStringMethod]: () => `fact ${JSON.stringify({ key, ...where, large: 'text' in size })}`,
    }
  })

type Step = { publication: Publication } | { slow: number; does: 'stall' | 'drain' | 'sip' | 'resume' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: versioned.map((publication) => ({ publication })) },
  { weight: 5, arbitrary: plain.map((publication) => ({ publication })) },
  { weight: 1, arbitrary: batch.map((publication) => ({ publication })) },
  { weight: 1, arbitrary: versionedBatch.map((publication) => ({ publication })) },
  { weight: 2, arbitrary: fact.map((publication) => ({ publication })) },
  {
    weight: 4,
    arbitrary: fc.record({ slow: fc.nat(9), does: fc.constantFrom('stall', 'stall', 'drain', 'sip', 'resume') }),
  },
)

const GRANTS: Grant[] = [
  { projectId: 'p' },
  { projectId: 'p', userId: 'u1' },
  { projectId: 'p', userId: 'u2', channels: ['default', 'a'] },
  { projectId: 'p', userId: 'u1', channels: ['b', 'default'] },
]

interface Run {
  hub: EventHub
  clock: VirtualClock
  start: string
  /** By grant: the one that always read, and those that did not. */
  live: TestStream[]
  slow: { grant: number; stream: TestStream }[]
}

async function run(steps: readonly Step[]): Promise<Run> {
  const { hub, clock } = testHub({
    limits: false,
    maxAgeMs: false,
    retention: { events: 100_000, bytes: 1_000_000_000 },
  })
  const start = await hub.cursor('p')
  const live = await Promise.all(GRANTS.map((grant) => open(hub, grant)))
  const slow = await Promise.all(GRANTS.map(async (grant, i) => ({ grant: i, stream: await open(hub, grant) })))
  let n = 0
  for (const one of steps) {
    if ('publication' in one) await one.publication.publish(hub, ++n)
    else {
      const { sink } = (slow[one.slow % slow.length] as (typeof slow)[number]).stream
      if (one.does === 'stall') sink.stall()
      else if (one.does === 'sip') sink.drain(5_000)
      else sink[one.does]()
    }
    await clock.settle()
  }
  for (const { stream } of slow) stream.sink.resume()
  await clock.settle()
  return { hub, clock, start, live, slow }
}

/** Each stream's events, or the frames after `from` for a reader of this grant. */
async function replay({ hub, clock }: Run, grant: Grant, from: string | undefined): Promise<ReceivedFrame[]> {
  const stream = await open(hub, grant, { lastEventId: from })
  await clock.settle()
  const { frames } = stream
  stream.leave()
  return frames
}

const check = (property: (run: Run, pick: () => number) => Promise<void>, numRuns: number, seed?: number) =>
  fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 80, size: 'max' }),
      fc.infiniteStream(fc.nat(1_000_000)),
      async (steps, picks) => {
        const made = await run(steps)
        try {
          await property(made, () => picks.next().value as number)
        } finally {
          await made.hub.close()
        }
      },
    ),
    { numRuns, ...(seed !== undefined && { seed }) },
  )

describe('catching up ends where live delivery ends', () => {
  it('[G1] these runs reach what they are for: merged pages, held frames, pages that end in the middle', async () => {
    const seen = { runs: 0, merged: 0, held: 0, pages: 0 }
    await check(
      async (made) => {
        const frames = await replay(made, { projectId: 'p', userId: 'u1' }, made.start)
        const live = made.live[1] as TestStream
        seen.runs++
        if (frames.length < live.frames.length) seen.merged++
        if (frames.some(({ id }) => id === undefined)) seen.held++
        if (JSON.stringify(live.events).length > 70_000) seen.pages++
      },
      50,
      1,
    )
    for (const count of [seen.merged, seen.held, seen.pages]) expect(count).toBeGreaterThan(seen.runs / 3)
  }, 60_000)

  it(
    '[G4 D6] for sockets that fill and drain at any moment',
    () =>
      check(async ({ live, slow }) => {
        for (const { grant, stream } of slow) {
          const expected = new ReferencePage().read((live[grant] as TestStream).frames).state
          expect(new ReferencePage().read(stream.frames).state).toEqual(expected)
        }
      }, 300),
    60_000,
  )

  it(
    '[G4 D3] for a page that comes back with the first cursor',
    () =>
      check(async (made) => {
        for (const [i, grant] of GRANTS.entries()) {
          const expected = new ReferencePage().read((made.live[i] as TestStream).frames).state
          expect(new ReferencePage().read(await replay(made, grant, made.start)).state).toEqual(expected)
        }
      }, 250),
    60_000,
  )

  it(
    '[G1 D4] for a stream that is cut after any frame with a cursor',
    () =>
      check(async (made, pick) => {
        for (const { grant, stream } of made.slow) {
          const expected = new ReferencePage().read((made.live[grant] as TestStream).frames).state
          const caughtUp = await replay(made, GRANTS[grant] as Grant, made.start)
          for (const frames of [stream.frames, caughtUp]) {
            const ends = frames.flatMap(({ id }, i) => (id === undefined ? [] : [i + 1]))
            const cut = frames.slice(0, ends[pick() % ends.length])
            const page = new ReferencePage().read(cut)
            const from = cut.findLast(({ id }) => id !== undefined)?.id
            page.read(await replay(made, GRANTS[grant] as Grant, from))
            expect(page.state).toEqual(expected)
          }
        }
      }, 250),
    60_000,
  )

  it(
    '[G2] for a client that drops an unfinished page, cut anywhere',
    () =>
      check(async (made, pick) => {
        for (const [i, grant] of GRANTS.entries()) {
          const expected = new ReferencePage().read((made.live[i] as TestStream).frames).state
          const frames = await replay(made, grant, made.start)
          const page = new ReferencePage().read(frames.slice(0, pick() % (frames.length + 1)))
          page.cut()
          page.read(await replay(made, grant, page.cursor ?? made.start))
          expect(page.state).toEqual(expected)
        }
      }, 250),
    60_000,
  )

  it(
    '[G2] for a plain EventSource too, but for facts that it may see twice',
    () =>
      check(async (made, pick) => {
        for (const [i, grant] of GRANTS.entries()) {
          const { facts, ...expected } = new ReferencePage().read((made.live[i] as TestStream).frames).state
          const frames = await replay(made, grant, made.start)
          const page = new ReferencePage(false).read(frames.slice(0, pick() % (frames.length + 1)))
          page.read(await replay(made, grant, page.cursor ?? made.start))
          const { facts: seen, ...state } = page.state
          expect(state).toEqual(expected)
          expect(new Set(seen)).toEqual(new Set(facts))
        }
      }, 250),
    60_000,
  )

  it(
    '[W5 D1] along each stream cursors never go back, and facts come in order, once',
    () =>
      check(async ({ live, slow }) => {
        for (const stream of [...live, ...slow.map((one) => one.stream)]) {
          const offsets = stream.frames.flatMap(({ id }) => (id === undefined ? [] : [Number(id.split('.')[1])]))
          expect(offsets).toEqual([...offsets].sort((a, b) => a - b))
          const facts = stream.events.flatMap(({ type, data }) => (type === 'row:said' ? [data.data.n as number] : []))
          expect(facts).toEqual([...new Set(facts)].sort((a, b) => a - b))
        }
      }, 100),
    60_000,
  )

  it(
    '[D8] no stream holds a fact of another audience or channel, merged or not',
    () =>
      check(async ({ slow }) => {
        for (const { grant, stream } of slow) {
          const { userId, channels } = GRANTS[grant] as Grant
          for (const { data } of stream.events) {
            if (Array.isArray(channels)) expect(channels).toContain(data.channel ?? 'default')
            if (data.data?.to !== undefined) expect(data.data.to.split(',')).toContain(userId)
          }
        }
      }, 100),
    60_000,
  )
})
