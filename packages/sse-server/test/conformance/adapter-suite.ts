import type { Cursor, LogEntry } from '@entitycast/sse-server'
import {
  type AdapterUnderTest,
  entriesOf,
  Listener,
  offsets,
  ok,
  opener,
  RETENTION,
  record,
  rejects,
  same,
  upTo,
  withAdapter,
} from './adapter-fixture'

export type { AdapterUnderTest } from './adapter-fixture'

/*
 * What every adapter must do, as checks that run in any test runner: each throws where the adapter breaks its word.
 * There are no flags to skip one: the contract has no options.
 */

export interface AdapterCheck {
  /** `[clause] what must hold`. */
  readonly name: string
  run(subject: AdapterUnderTest): Promise<void>
}

/** Project ids that were chosen to reach somewhere else: prototypes, separators, prefixes of each other, look-alikes. */
const PROJECTS = [
  'p',
  'p1',
  'p1.a',
  'p1:a',
  'p1/a',
  'p1%2Ea',
  'p1*',
  'P1',
  ' p1',
  '__proto__',
  'constructor',
  'toString',
  'events.p1',
  "p1'; drop table",
  '{p1}',
  'é',
  'e\u0301',
  '☃ 🦊',
  '$&',
  'x'.repeat(256),
]

/** Every check of the contract. */
export const adapterChecks: readonly AdapterCheck[] = [
  {
    name: '[D7] the first records of a project have the offsets 1, 2, 3 …, and append answers with the last',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        const { head, close } = await open('p')
        same(head.offset, 0, 'the head of a new log')
        const first = await adapter.append('p', [record(1)])
        const third = await adapter.append('p', [record(2), record(3)])
        same([first.offset, third.offset], [1, 3], 'offsets')
        same(first.epoch, head.epoch, 'the epoch')
        same(third.epoch, head.epoch, 'the epoch')
        close()
      }),
  },
  {
    name: '[D1] appends that are made at once are each contiguous, in the order they were made',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        const start = { epoch: (await open('p')).head.epoch, offset: 0 }
        const appends = Array.from({ length: 10 }, (_, n) => adapter.append('p', [record([n, 0]), record([n, 1])]))
        const cursors = await Promise.all(appends)
        same(
          [...offsets(cursors as never)].sort((a, b) => a - b),
          upTo(10).map((n) => n * 2),
          'the ends of ten appends',
        )
        const entries = entriesOf(await adapter.read('p', start, 100))
        same(offsets(entries), upTo(20), 'offsets')
        const order = entries.map(({ record: { data } }) => JSON.parse(data).data as [number, number])
        same(
          order,
          upTo(10).flatMap((n) => [
            [n - 1, 0],
            [n - 1, 1],
          ]),
          'the order',
        )
      }),
  },
  {
    name: '[D4] a record comes back as it was given, to the last character',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        const { head, listener } = await open('p')
        const given = [
          record('plain'),
          record('é ☃ 🦊 \u2028 \u2029 \u0000 \\ " \' % $& {{}} \t'),
          record({ ['__proto__']: 1, constructor: 2 }),
          record('x'.repeat(20_000)),
          record(null, { channel: 'a:b.c-d', users: ['u1', '__proto__', 'é, "x"'], key: 'document:a:b\nc' }),
          record(null, { users: ['only'] }),
          record(null, { key: 'k' }),
          { type: 'entity.batch', data: '{"big":9007199254740993,"float":1.10,"spaces": [ ] }', channel: 'default' },
        ]
        await adapter.append('p', given)
        const bare = (entry: LogEntry) => {
          const { type, data, channel, users, key } = entry.record
          return [type, data, channel, users ?? null, key ?? null]
        }
        const expected = given.map((one, n) => bare({ offset: n + 1, record: one }))
        same(entriesOf(await adapter.read('p', head, 100)).map(bare), expected, 'what was read')
        same((await listener.until(given.length)).map(bare), expected, 'what came live')
      }),
  },
  {
    name: '[D4] read gives what lies after a cursor, oldest first, at most as many as asked for, and nothing at the head',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        const { head } = await open('p')
        for (let n = 1; n <= 10; n++) await adapter.append('p', [record(n)])
        const at = (offset: number): Cursor => ({ epoch: head.epoch, offset })
        same(offsets(entriesOf(await adapter.read('p', at(0), 100))), upTo(10), 'from the start')
        same(offsets(entriesOf(await adapter.read('p', at(7), 100))), [8, 9, 10], 'after 7')
        same(offsets(entriesOf(await adapter.read('p', at(3), 2))), [4, 5], 'two after 3')
        same(offsets(entriesOf(await adapter.read('p', at(10), 100))), [], 'at the head')
        const data = entriesOf(await adapter.read('p', at(8), 1)).map((entry) => JSON.parse(entry.record.data).data)
        same(data, [9], 'the record at 9')
      }),
  },
  {
    name: '[D4] a cursor of another epoch is a gap: epoch, whatever its offset',
    run: (subject) =>
      withAdapter(subject, async (adapter) => {
        await adapter.append('p', [record(1), record(2)])
        for (const epoch of ['nobody', '__proto__', 'x'.repeat(100)]) {
          for (const offset of [0, 1, 2, 3]) {
            same(await adapter.read('p', { epoch, offset }, 10), { gap: 'epoch' }, `${epoch}.${offset}`)
          }
        }
      }),
  },
  {
    name: '[D4] a cursor beyond the head is a gap: ahead',
    run: (subject) =>
      withAdapter(subject, async (adapter) => {
        const { epoch } = await adapter.append('p', [record(1), record(2)])
        same(await adapter.read('p', { epoch, offset: 3 }, 10), { gap: 'ahead' }, 'one beyond')
        same(await adapter.read('p', { epoch, offset: Number.MAX_SAFE_INTEGER }, 10), { gap: 'ahead' }, 'far beyond')
      }),
  },
  {
    name: '[D4] after more events than are retained: a whole page from the edge, and a gap: expired one before it',
    run: (subject) =>
      withAdapter(subject, async (adapter) => {
        let last: Cursor = { epoch: '', offset: 0 }
        for (let n = 1; n <= 120; n++) last = await adapter.append('p', [record(n)])
        const at = (offset: number): Cursor => ({ epoch: last.epoch, offset })
        // An adapter may keep more than it was asked to, but must say so exactly: what it gives is whole.
        let edge = 0
        for (let offset = 119; offset >= 0; offset--) {
          const page = await adapter.read('p', at(offset), 1_000)
          if ('gap' in page) {
            same(page.gap, 'expired', `the gap at ${offset}`)
            edge = offset + 1
            break
          }
          same(offsets(page.entries), upTo(120, offset + 1), `everything after ${offset}`)
        }
        ok(edge <= 120 - RETENTION.events, `events after ${edge} are kept, and ${RETENTION.events} were asked for`)
        for (let offset = edge - 1; offset >= 0; offset -= 7) {
          same(await adapter.read('p', at(offset), 10), { gap: 'expired' }, `before the edge, at ${offset}`)
        }
      }),
  },
  {
    name: '[D4] after the events of a project have all expired by age, a cursor from before is a gap and never an empty page',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        const { epoch } = await adapter.append('p', [record(1), record(2)])
        const { close } = await open('p')
        await subject.expire(RETENTION.ageMs)
        await adapter.append('p', [record(3)])
        await subject.expire(RETENTION.ageMs)
        const page = await adapter.read('p', { epoch, offset: 1 }, 10)
        if ('gap' in page) ok(page.gap === 'expired' || page.gap === 'epoch', `the gap is ${page.gap}`)
        else same(offsets(page.entries), [2, 3], 'what is still kept')
        close()
      }),
  },
  {
    name: '[D8] no project, however it is called, reaches the log of another',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        const logs = []
        for (const projectId of PROJECTS) logs.push({ projectId, ...(await open(projectId)) })
        for (const { projectId } of logs) await adapter.append(projectId, [record(projectId)])
        const epochs = new Set(logs.map(({ head }) => head.epoch))
        same(epochs.size, PROJECTS.length, 'epochs: each belongs to one project')
        for (const { projectId, listener, head } of logs) {
          const seen = (await listener.until(1)).map((entry) => JSON.parse(entry.record.data).data)
          same(seen, [projectId], `live in ${projectId}`)
          const read = entriesOf(await adapter.read(projectId, head, 10)).map(
            (entry) => JSON.parse(entry.record.data).data,
          )
          same(read, [projectId], `read of ${projectId}`)
          for (const other of logs) {
            if (other.projectId !== projectId)
              same(
                await adapter.read(projectId, other.head, 10),
                { gap: 'epoch' },
                `${projectId} with a cursor of ${other.projectId}`,
              )
          }
        }
        for (const { close } of logs) close()
      }),
  },
  {
    name: '[N7] an epoch fits into a cursor',
    run: (subject) =>
      withAdapter(subject, async (adapter) => {
        for (const projectId of PROJECTS) {
          const { epoch } = await adapter.append(projectId, [record(1)])
          ok(/^[A-Za-z0-9_-]{8,100}$/.test(epoch), `the epoch of ${projectId} is ${epoch}`)
        }
      }),
  },
  {
    name: '[D2] live records come exactly once each, in order, from right after the head that open named',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        await adapter.append('p', [record(1), record(2)])
        const appends: Promise<Cursor>[] = []
        for (let n = 3; n <= 10; n++) appends.push(adapter.append('p', [record(n)]))
        const opening = open('p')
        for (let n = 11; n <= 20; n++) appends.push(adapter.append('p', [record(n)]))
        const { listener, head } = await opening
        for (let n = 21; n <= 30; n++) appends.push(adapter.append('p', [record(n)]))
        await Promise.all(appends)
        const seen = offsets(await listener.until(30 - head.offset))
        same(seen, upTo(30, head.offset + 1), `after the head ${head.offset}`)
        same(listener.doubts.length, 0, 'doubts')
      }),
  },
  {
    name: '[D1] every listener of a project sees the same order, also where one of them appends in turn',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        const first = await open('p')
        const second = await open('p')
        const answers: Promise<Cursor>[] = []
        first.listener.onEntry = ({ offset }) => {
          if (offset <= 5) answers.push(adapter.append('p', [record('answer')]))
        }
        await adapter.append('p', [record(1), record(2)])
        for (let n = 0; n < 3; n++) await adapter.append('p', [record(n)])
        await first.listener.until(5 + 5)
        await Promise.all(answers)
        const seen = await second.listener.until(10)
        same(offsets(first.listener.entriesSeen), upTo(10), 'what the first saw')
        same(offsets(seen), upTo(10), 'what the second saw')
        same(
          seen.map(({ record: { data } }) => data),
          first.listener.entriesSeen.map(({ record: { data } }) => data),
          'records',
        )
      }),
  },
  {
    name: '[D2] a listener that is closed is told nothing more, and the others are',
    run: (subject) =>
      withAdapter(subject, async (adapter, open) => {
        const first = await open('p')
        const second = await open('p')
        await adapter.append('p', [record(1)])
        await first.listener.until(1)
        await second.listener.until(1)
        first.close()
        await adapter.append('p', [record('after')])
        await second.listener.until(2)
        same(offsets(first.listener.entriesSeen), [1], 'what the closed one saw')
        second.close()
        // A second close is nothing.
        second.close()
      }),
  },
  {
    name: '[D7] records that were appended while the adapter closes are in the log or were refused, and no listener is called after',
    run: async (subject) => {
      const adapter = await subject.create()
      adapter.start(RETENTION)
      const { listener } = await opener(adapter, subject.patienceMs)('p')
      await adapter.append('p', [record(0)])
      const appends = Array.from({ length: 20 }, (_, n) => adapter.append('p', [record(n)]))
      const settled = Promise.allSettled(appends)
      await adapter.close()
      listener.closed()
      const results = await settled
      const accepted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.offset] : []))
      same(accepted, upTo(accepted.length + 1, 2), 'offsets of what was accepted')
      await rejects(() => adapter.append('p', [record('late')]), 'append after close')
      await rejects(() => adapter.open('p', new Listener()), 'open after close')
      await rejects(() => adapter.read('p', { epoch: 'x', offset: 0 }, 1), 'read after close')
    },
  },
  {
    name: '[D7] the manifest says what it is',
    run: (subject) =>
      withAdapter(subject, async ({ manifest }) => {
        ok(typeof manifest.name === 'string' && manifest.name !== '', 'it has no name')
        ok(
          ['none', 'broker-memory', 'broker-disk'].includes(manifest.durability),
          `durability is ${manifest.durability}`,
        )
        ok(typeof manifest.shared === 'boolean', 'shared is not said')
        ok(
          manifest.maxRecordBytes >= 65_536,
          `the default event of 64 KiB does not fit into ${manifest.maxRecordBytes}`,
        )
      }),
  },
]
