import assert from 'node:assert/strict'
import type { Cursor } from '@entitycast/sse-server'
import { Cast, RETENTION, rejects } from './cast'
import type { AdapterUnderTest } from './subject'
import { dataOf, entriesOf, offsets, record, upTo, Witness } from './witness'

/** A check before it knows its subject. */
export interface LogCheck {
  readonly name: string
  run(subject: AdapterUnderTest, instances: number): Promise<void>
}

/** Project ids that were chosen to reach somewhere else: prototypes, separators, prefixes of each other, look-alikes; and the hub's own. */
const PROJECTS = [
  'p',
  'p1',
  'p1.a',
  'p1:a',
  'p1/a',
  'p1%2Ea',
  'p1*',
  'p1?',
  'p1[a]',
  'P1',
  ' p1',
  'p1 ',
  '__proto__',
  'constructor',
  'toString',
  'events.p1',
  "p1'; drop table",
  '{p1}',
  '{p1',
  'p1}{p',
  'p1:head',
  '*',
  '>',
  'é',
  'e\u0301',
  '☃ 🦊',
  '$&',
  '\\x70',
  'x'.repeat(256),
  'ÿ'.repeat(128),
  // The hub's own logs, which no application can name: see `logName`.
  '\u0001hub',
  '\u0001presence/p1',
  `\u0001presence/${'ÿ'.repeat(128)}`,
]

/** The largest record that is tried, in bytes: an adapter that allows more is taken at its word. */
const LARGE_BYTES = 1_048_576

/** What one caller sees of a log, whichever instance is asked. */
export const logChecks: readonly LogCheck[] = [
  {
    name: '[D7] the first records of a project have the offsets 1, 2, 3 …, and append answers with the last',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const { head } = await cast.open(0, 'p')
        assert.equal(head.offset, 0, 'the head of a new log')
        const first = await cast.append(0, 'p', record(1))
        const third = await cast.append(1, 'p', record(2), record(3))
        const fourth = await cast.append(2, 'p', record(4))
        assert.deepEqual(offsets([first, third, fourth]), [1, 3, 4])
        for (const { epoch } of [first, third, fourth]) assert.equal(epoch, head.epoch, 'the epoch')
      }),
  },
  {
    name: '[D1] appends that are made at once are each contiguous, and those of one instance in the order they were made',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const start = { epoch: (await cast.open(0, 'p')).head.epoch, offset: 0 }
        const cursors = await Promise.all(
          upTo(12).map((n) => cast.append(n, 'p', record([n % instances, n, 0]), record([n % instances, n, 1]))),
        )
        assert.deepEqual(
          offsets(cursors).sort((a, b) => a - b),
          upTo(12).map((n) => n * 2),
          'the ends of twelve appends',
        )
        const entries = await cast.readAll(1, 'p', start)
        assert.deepEqual(offsets(entries), upTo(24))
        const order = entries.map(dataOf) as [number, number, number][]
        order.forEach(([, n, part], i) => {
          assert.deepEqual(
            [n, part],
            [order[i - (i % 2)]?.[1], i % 2],
            `the records of one append lie together, at ${i}`,
          )
        })
        for (let instance = 0; instance < instances; instance++) {
          const own = order.filter(([by]) => by === instance).map(([, n]) => n)
          assert.deepEqual(
            own,
            [...own].sort((a, b) => a - b),
            `the order of instance ${instance}`,
          )
        }
      }),
  },
  {
    name: '[D4] a record comes back as it was given, to the last character',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const witnesses = await cast.openAll('p')
        const given = [
          record('plain'),
          record('é ☃ 🦊 \u2028 \u2029 \u0000 \\ " \' % $& {{}} \t'),
          record({ ['__proto__']: 1, constructor: 2 }),
          record('x'.repeat(20_000)),
          record(null, { channel: 'a:b.c-d', users: ['u1', '__proto__', 'é, "x"'], key: 'document:a:b\nc' }),
          record(null, { users: ['only'] }),
          record(null, { key: 'k' }),
          record(null, { key: '' }),
          { type: 'entity.batch', data: '{"big":9007199254740993,"float":1.10,"spaces": [ ] }', channel: 'default' },
          { type: 'note:added', data: '', channel: 'default' },
          { type: 'note:added', data: 'no JSON,\r\nand more\n\nthan one line\r', channel: 'default' },
        ]
        const { epoch, offset } = await cast.append(0, 'p', ...given)
        // The ledger compares each place that is read or told with what was given.
        for (let n = 0; n < instances; n++)
          assert.equal((await cast.readAll(n, 'p', { epoch, offset: 0 })).length, offset)
        for (const witness of witnesses) {
          const [first] = await witness.until(given.length)
          assert.deepEqual(
            Object.keys(first?.record ?? {}).sort(),
            ['channel', 'data', 'type'],
            'fields that are given',
          )
        }
      }),
  },
  {
    name: '[D4] read gives what lies after a cursor, oldest first, at most as many as asked for, and nothing at the head',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const { head } = await cast.open(0, 'p')
        for (const n of upTo(10)) await cast.append(n, 'p', record(n))
        for (let n = 0; n < instances; n++) {
          const read = async (offset: number, limit: number) =>
            entriesOf(await cast.on(n).read('p', { epoch: head.epoch, offset }, limit))
          assert.deepEqual(offsets(await read(0, 100)), upTo(10), 'from the start')
          assert.deepEqual(offsets(await read(7, 100)), [8, 9, 10], 'after 7')
          assert.deepEqual(offsets(await read(3, 2)), [4, 5], 'two after 3')
          assert.deepEqual(offsets(await read(10, 100)), [], 'at the head')
          assert.deepEqual((await read(8, 1)).map(dataOf), [9], 'the record at 9')
        }
      }),
  },
  {
    name: '[D4] a cursor of another epoch is a gap: epoch, whatever its offset',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        await cast.append(0, 'p', record(1), record(2))
        for (const epoch of ['nobody', '__proto__', '-', 'x'.repeat(100)]) {
          for (const offset of [0, 1, 2, 3, Number.MAX_SAFE_INTEGER]) {
            const page = await cast.on(offset).read('p', { epoch, offset }, 10)
            assert.deepEqual(page, { gap: 'epoch' }, `${epoch}.${offset}`)
          }
        }
      }),
  },
  {
    name: '[D4] a cursor beyond the head is a gap: ahead',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const { epoch } = await cast.append(0, 'p', record(1), record(2))
        for (const offset of [3, 1_000, Number.MAX_SAFE_INTEGER]) {
          assert.deepEqual(await cast.on(1).read('p', { epoch, offset }, 10), { gap: 'ahead' }, `at ${offset}`)
        }
      }),
  },
  {
    name: '[D4] after more events than are retained: a whole page from the edge, and a gap: expired one before it, which there is after ten times as many',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        let last: Cursor = { epoch: '', offset: 0 }
        for (const n of upTo(120)) last = await cast.append(n, 'p', record(n))
        const edge = await edgeOf(cast, last)
        assert(edge <= 120 - RETENTION.events, `events after ${edge} are kept, and ${RETENTION.events} were asked for`)
        for (const n of upTo(4)) await cast.append(n, 'p', ...upTo(100).map((number) => record(number)))
        await letsGo(cast, last)
      }),
  },
  {
    name: '[D4] after more bytes than are retained: the same, and the newest is kept however large it is',
    run: (subject, instances) =>
      Cast.play(
        subject,
        instances,
        async (cast) => {
          let last: Cursor = { epoch: '', offset: 0 }
          for (const n of upTo(8)) last = await cast.append(n, 'p', record('x'.repeat(10_000)))
          const edge = await edgeOf(cast, last)
          assert(edge <= 4, `events after ${edge} are kept, and four of them fit into the bytes that were asked for`)
          last = await cast.append(0, 'p', record('y'.repeat(60_000)))
          assert((await edgeOf(cast, last)) < last.offset, 'the newest is not kept')
          for (const n of upTo(8)) await cast.append(n, 'p', record('z'.repeat(60_000)))
          await letsGo(cast, last)
        },
        { ...RETENTION, bytes: 50_000 },
      ),
  },
  {
    name: '[D4] after the events of a project have all expired by age, a cursor from before is a gap and never an empty page',
    run: (subject, instances) =>
      Cast.play(
        subject,
        instances,
        async (cast) => {
          const { epoch } = await cast.append(0, 'p', record(1), record(2))
          await cast.open(0, 'p')
          await expire(cast)
          await cast.append(1, 'p', record(3))
          await expire(cast)
          for (const offset of [0, 1, 2]) {
            const page = await cast.on(1).read('p', { epoch, offset }, 10)
            if ('gap' in page) assert(page.gap === 'expired' || page.gap === 'epoch', `the gap is ${page.gap}`)
            else assert.deepEqual(offsets(page.entries), upTo(3, offset + 1), 'what is still kept is whole')
          }
          await letsGo(cast, { epoch })
        },
        { ...RETENTION, ageMs: 300 },
      ),
  },
  {
    name: '[D8] no project, however it is called, reaches the log of another',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const logs = await Promise.all(
          PROJECTS.map(async (projectId, n) => ({ projectId, ...(await cast.open(n, projectId)) })),
        )
        await Promise.all(PROJECTS.map((projectId, n) => cast.append(n + 1, projectId, record(projectId))))
        const epochs = new Set(logs.map(({ head }) => head.epoch))
        assert.equal(epochs.size, PROJECTS.length, 'each epoch belongs to one project')
        for (const { projectId, witness, head } of logs) {
          assert.deepEqual((await witness.until(1)).map(dataOf), [projectId], `live in ${projectId}`)
          const read = entriesOf(await cast.on(2).read(projectId, { ...head, offset: 0 }, 10))
          assert.deepEqual(read.map(dataOf), [projectId], `read of ${projectId}`)
        }
        const [first, ...others] = logs
        for (const { projectId, head } of others) {
          assert.deepEqual(await cast.on(0).read(projectId, first?.head as Cursor, 10), { gap: 'epoch' }, projectId)
          assert.deepEqual(await cast.on(0).read(PROJECTS[0] as string, head, 10), { gap: 'epoch' }, projectId)
        }
      }),
  },
  {
    name: '[N7] an epoch fits into a cursor, and is nothing that could be guessed',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const epochs = new Set<string>()
        for (const [n, projectId] of PROJECTS.entries()) {
          const { epoch } = await cast.append(n, projectId, record(1))
          assert.match(epoch, /^[A-Za-z0-9_-]{8,100}$/, `the epoch of ${projectId}`)
          epochs.add(epoch)
        }
        assert.equal(epochs.size, PROJECTS.length)
      }),
  },
  {
    name: '[D7] the largest record that the manifest allows goes in and comes out, and a larger one is refused and harms nobody',
    run: (subject, instances) =>
      Cast.play(
        subject,
        instances,
        async (cast) => {
          const { maxRecordBytes } = subject.manifest
          const witnesses = await cast.openAll('p')
          const bytes = Math.min(maxRecordBytes, LARGE_BYTES)
          await cast.append(0, 'p', { ...record(0), data: 'x'.repeat(bytes) })
          // In bytes, not in characters.
          const last = await cast.append(1, 'p', { ...record(0), data: '☃'.repeat(Math.floor(bytes / 3)) })
          for (const witness of witnesses) await witness.reaches(last)
          if (maxRecordBytes <= LARGE_BYTES * 16) {
            const tooLarge = { ...record(0), data: 'x'.repeat(maxRecordBytes + 1) }
            await rejects(() => cast.on(0).append('p', [record('with it'), tooLarge]), 'a record over the limit')
          }
          const after = await cast.append(2, 'p', record('after'))
          assert.equal(after.offset, last.offset + 1, 'nothing of what was refused is in the log')
          for (const witness of witnesses) await witness.reaches(after)
        },
        { ...RETENTION, bytes: LARGE_BYTES * 4 },
      ),
  },
  {
    name: '[D7] records that are appended while an adapter closes are in the log or were refused, and no listener is called after',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const witnesses = await cast.openAll('p')
        await cast.append(0, 'p', record(0))
        const { close } = await cast.open(0, 'p')
        const closing = cast.on(0)
        const settled = Promise.allSettled(upTo(20).map((n) => closing.append('p', [record(n)])))
        await closing.close()
        close()
        witnesses[0]?.closed()
        const results = await settled
        const accepted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
        assert.deepEqual(offsets(accepted), upTo(accepted.length + 1, 2), 'offsets of what was accepted')
        await rejects(() => closing.append('p', [record('late')]), 'append after close')
        await rejects(() => closing.open('p', new Witness(cast.ledger, 0)), 'open after close')
        await rejects(() => closing.read('p', { epoch: 'x', offset: 0 }, 1), 'read after close')
        await closing.close()
        // The others go on.
        if (instances > 1) {
          const last = await cast.append(1, 'p', record('others'))
          assert(last.offset > accepted.length + 1, 'what was accepted is in the log')
          for (const witness of witnesses.slice(1)) await witness.reaches(last)
        }
      }),
  },
  {
    name: '[D7] the manifest says what it is',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        for (const { manifest } of cast.adapters) assert.deepEqual(manifest, subject.manifest)
        const { name, durability, shared, maxRecordBytes } = subject.manifest
        assert(typeof name === 'string' && name !== '', 'it has no name')
        assert(['none', 'broker-memory', 'broker-disk'].includes(durability), `durability is ${durability}`)
        assert.equal(typeof shared, 'boolean')
        assert(maxRecordBytes >= 65_536, `the default event of 64 KiB does not fit into ${maxRecordBytes}`)
      }),
  },
]

/** Where what is kept begins: everything from there on is whole, and before it there is a gap. */
async function edgeOf(cast: Cast, { epoch, offset: last }: Cursor): Promise<number> {
  let edge = 0
  for (let offset = last - 1; offset >= 0; offset--) {
    const page = await cast.on(offset).read('p', { epoch, offset }, 1_000)
    if ('gap' in page) {
      assert.equal(page.gap, 'expired', `the gap at ${offset}`)
      edge = offset + 1
      break
    }
    assert.deepEqual(offsets(await cast.readAll(offset, 'p', { epoch, offset })), upTo(last, offset + 1))
  }
  for (let offset = edge - 1; offset >= 0; offset -= 7) {
    assert.deepEqual(
      await cast.on(offset).read('p', { epoch, offset }, 10),
      { gap: 'expired' },
      `before the edge: ${offset}`,
    )
  }
  return edge
}

/** An adapter may keep more than it was asked to, and not without end. */
async function letsGo(cast: Cast, { epoch }: Pick<Cursor, 'epoch'>): Promise<void> {
  await cast.eventually('what lies far beyond the retention is let go', async () => {
    return 'gap' in (await cast.on(0).read('p', { epoch, offset: 0 }, 1))
  })
}

async function expire({ log, retention }: Cast): Promise<void> {
  if (log.expire) await log.expire(retention.ageMs)
  else {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, retention.ageMs + 50)
    })
  }
}
