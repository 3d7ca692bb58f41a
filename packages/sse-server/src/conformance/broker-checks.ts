import assert from 'node:assert/strict'
import type { Cursor } from '@entitycast/sse-server'
import { Cast, RETENTION, rejects } from './cast'
import type { LogCheck } from './log-checks'
import type { BrokerUnderTest } from './subject'
import { offsets, record, upTo, Witness } from './witness'

type Hook = keyof BrokerUnderTest
type Broker = Required<BrokerUnderTest>

/** What is left of the contract when the broker is harmed. */
export const brokerChecks: readonly (LogCheck & { readonly needs: readonly Hook[] })[] = [
  ...(['stop', 'kill'] as const).flatMap((harm) => [
    {
      needs: [harm, 'restart'] as const,
      name: `[B1] ${harm}: while the broker is away calls reject with a code, and status says degraded; both end when it is back`,
      run: whileAway(harm),
    },
    {
      needs: [harm, 'restart'] as const,
      name: `[B1] ${harm}: listeners stay, and go on where they were or are told a doubt: what was accepted is never missing in silence`,
      run: goesOn(harm),
    },
    {
      needs: [harm, 'restart'] as const,
      name: `[B1] ${harm}: an adapter that is closed while the broker is away has closed`,
      run: closesMeanwhile(harm),
    },
  ]),
  {
    needs: ['kill', 'restart'],
    name: '[B1] an adapter that starts while the broker is down serves when it is up',
    run: (subject, instances) =>
      withBroker(subject, instances, async (cast, broker) => {
        await broker.kill()
        const late = await cast.join()
        assert.equal(late.status?.(), 'degraded')
        const witness = new Witness(cast.ledger, cast.patienceMs)
        await Promise.all([
          refuses(cast, () => late.append('p', [record(1)]), 'append'),
          refuses(cast, () => late.open('p', witness), 'open'),
          refuses(cast, () => late.read('p', { epoch: 'epoch', offset: 0 }, 1), 'read'),
        ])
        await broker.restart()
        for (const adapter of cast.adapters) {
          await cast.eventually('status says ok', () => adapter.status?.() === 'ok')
        }
        const witnesses = await cast.openAll('p')
        const last = await cast.accepted(cast.instances - 1, 'p', record(1))
        for (const one of witnesses) await one.reaches(last)
      }),
  },
  {
    needs: ['kill', 'restart'],
    name: '[B4] killed: what the manifest says to survive is there afterwards, and whatever else is there has its old place or a new epoch',
    run: (subject, instances) =>
      withBroker(subject, instances, async (cast, broker) => {
        const accepted: Cursor[] = []
        for (const n of upTo(20)) accepted.push(await cast.accepted(n, 'p', record(n)))
        await broker.kill()
        await broker.restart()
        const start = { epoch: accepted[0]?.epoch as string, offset: 0 }
        // What was refused on the way may be there too.
        const all = upTo(accepted.at(-1)?.offset ?? 0)
        for (let n = 0; n < cast.instances; n++) {
          const page = await cast.insist(() => cast.on(n).read('p', start, 100))
          if (subject.manifest.durability === 'broker-disk')
            assert('entries' in page, 'a broker that keeps its log on disk kept it')
          if ('entries' in page) {
            const found = offsets(await cast.insist(() => cast.readAll(n, 'p', start)))
            assert.deepEqual(found, upTo(Math.max(all.length, found.length)))
            assert(found.length <= 20 + cast.refusals, `${found.length} records, of 20`)
          }
        }
        // The ledger finds out if a place is given away twice.
        for (const n of upTo(3)) await cast.accepted(n, 'p', record(['after', n]))
      }),
  },
  {
    needs: ['wipe'],
    name: '[B4] wiped: a new epoch, one doubt for each listener, and a cursor from before is a gap',
    run: (subject, instances) =>
      withBroker(subject, instances, async (cast, broker) => {
        const witnesses = await cast.openAll('p')
        const quiet = await cast.insist(() => cast.open(0, 'quiet'))
        for (const n of upTo(5)) await cast.accepted(n, 'p', record(n))
        const before = await cast.accepted(0, 'p', record('last'))
        for (const witness of witnesses) await witness.reaches(before)
        await broker.wipe()
        const after = await cast.accepted(1, 'p', record('first'))
        assert.notEqual(after.epoch, before.epoch, 'offsets were lost, so the epoch is new')
        for (const offset of upTo(before.offset, 0)) {
          const page = await cast.insist(() => cast.on(offset).read('p', { ...before, offset }, 10))
          assert.deepEqual(page, { gap: 'epoch' }, `at ${offset}`)
        }
        for (const witness of witnesses) {
          await witness.reaches(after)
          assert.equal(witness.doubts.length, 1, 'how often it was told')
          assert.equal(witness.doubts[0]?.reason, 'epoch')
        }
        // Nobody publishes there, and still it is another log.
        await quiet.witness.when(
          () => quiet.witness.doubts.length === 1,
          () => 'a quiet project was told nothing',
        )
        const sentinel = await cast.accepted(1, 'quiet', record('after'))
        await quiet.witness.reaches(sentinel)
        assert.equal(quiet.witness.doubts.length, 1)
      }),
  },
  ...(['kill', 'stop', 'wipe'] as const).map((harm) => ({
    needs: harm === 'wipe' ? (['wipe'] as const) : ([harm, 'restart'] as const),
    name: `[B1 B4] ${harm}, in the middle of what all instances publish: everyone sees one order, and nothing accepted is missing in silence`,
    run: inTheMiddle(harm),
  })),
]

function whileAway(harm: 'stop' | 'kill'): LogCheck['run'] {
  return (subject, instances) =>
    withBroker(subject, instances, async (cast, broker) => {
      await cast.openAll('p')
      await cast.accepted(0, 'p', record(1))
      for (const adapter of cast.adapters) {
        assert(adapter.status, 'an adapter over a broker has a status')
        await cast.eventually('status says ok', () => adapter.status?.() === 'ok')
      }
      await broker[harm]()
      await Promise.all(
        cast.adapters.flatMap((adapter) => [
          refuses(cast, () => adapter.append('p', [record('away')]), 'append'),
          refuses(cast, () => adapter.read('p', { epoch: 'epoch', offset: 0 }, 1), 'read'),
          refuses(cast, () => adapter.open('other', new Witness(cast.ledger, 0)), 'open'),
        ]),
      )
      for (const adapter of cast.adapters) {
        await cast.eventually('status says degraded', () => adapter.status?.() === 'degraded')
      }
      await broker.restart()
      for (const [n, adapter] of cast.adapters.entries()) {
        await cast.eventually('status says ok again', () => adapter.status?.() === 'ok')
        await cast.accepted(n, 'p', record(['back', n]))
      }
    })
}

function goesOn(harm: 'stop' | 'kill'): LogCheck['run'] {
  return (subject, instances) =>
    withBroker(subject, instances, async (cast, broker) => {
      const witnesses = await cast.openAll('p')
      for (const n of upTo(5)) await cast.accepted(n, 'p', record(n))
      for (const witness of witnesses) await witness.until(5)
      await broker[harm]()
      await refuses(cast, () => cast.on(0).append('p', [record('away')]), 'append')
      await broker.restart()
      const last = await cast.accepted(1, 'p', record('back'))
      for (const witness of witnesses) await witness.reaches(last)
      for (const witness of witnesses) assert(witness.doubts.length <= 1, 'one fault is told once')
    })
}

function closesMeanwhile(harm: 'stop' | 'kill'): LogCheck['run'] {
  return (subject, instances) =>
    withBroker(subject, instances, async (cast, broker) => {
      await cast.openAll('p')
      await broker[harm]()
      const waiting = rejects(
        () => cast.on(0).append('p', [record('away')]),
        'append while it closes',
        cast.patienceMs * 3,
      )
      await Promise.all(cast.adapters.map((adapter) => adapter.close()))
      await waiting
      for (const witness of cast.witnesses) witness.closed()
      await broker.restart()
    })
}

function inTheMiddle(harm: 'stop' | 'kill' | 'wipe'): LogCheck['run'] {
  return (subject, instances) =>
    withBroker(
      subject,
      instances,
      async (cast, broker) => {
        const witnesses = await cast.openAll('p')
        const accepted: Cursor[] = []
        let refused = 0
        let isOver = false
        const publishers = upTo(instances).map(async (n) => {
          for (let i = 0; !isOver; i++) {
            await cast.append(n - 1, 'p', record([n, i])).then(
              (cursor) => accepted.push(cursor),
              () => refused++,
            )
            // An adapter that rejects at once must not keep everything else from happening.
            await new Promise<void>((resolve) => {
              setTimeout(resolve, 2)
            })
          }
        })
        const more = async (count: number) => {
          const goal = accepted.length + count
          await cast.eventually(`${count} more are accepted`, () => accepted.length >= goal)
        }
        try {
          await more(20 * instances)
          await broker[harm]()
          if (harm !== 'wipe') {
            await cast.eventually('a publisher is refused', () => refused > 0)
            await broker.restart()
          }
          await more(20 * instances)
        } finally {
          isOver = true
          await Promise.all(publishers)
        }
        const last = await cast.accepted(0, 'p', record('last'))
        for (const witness of witnesses) {
          await witness.reaches(last)
          // From its last doubt on, or from the start, it has every record that was accepted there.
          const from = witness.doubts.at(-1)?.head ?? { epoch: last.epoch, offset: 0 }
          const seen = new Set(offsets(witness.since))
          const missing = accepted.filter(
            ({ epoch, offset }) => epoch === from.epoch && offset > from.offset && !seen.has(offset),
          )
          assert.deepEqual(missing, [], 'accepted, and not seen')
          // Whoever was told nothing has missed nothing at all.
          const foreign = accepted.filter(({ epoch }) => epoch !== from.epoch)
          assert(foreign.length === 0 || witness.doubts.length > 0, 'the epoch has changed, and nobody was told')
        }
        const from = witnesses[0]?.doubts.at(-1)?.head ?? { epoch: last.epoch, offset: last.offset - 1 }
        await cast.insist(() => cast.readAll(0, 'p', from))
      },
      { ...RETENTION, events: 100_000, bytes: 100_000_000 },
    )
}

function withBroker(
  subject: Parameters<LogCheck['run']>[0],
  instances: number,
  check: (cast: Cast, broker: Broker) => Promise<void>,
  retention = RETENTION,
): Promise<void> {
  return Cast.play(subject, instances, (cast) => check(cast, cast.log.broker as Broker), retention, true)
}

/** That a call is refused because the broker is away: with a code, and nothing in it that is nobody's business. */
async function refuses(cast: Cast, call: () => Promise<unknown>, what: string): Promise<void> {
  const error = await rejects(call, what, cast.patienceMs * 3)
  assert.equal(typeof (error as { code?: unknown }).code, 'string', `${what} rejects without a code: ${error.message}`)
  assert(
    !/away|:\/\/[^ ]*@/.test(`${error.message} ${JSON.stringify(error)}`),
    `${what} tells too much: ${error.message}`,
  )
}
