import assert from 'node:assert/strict'
import type { Cursor } from '@entitycast/sse-server'
import { Cast, RETENTION } from './cast'
import type { LogCheck } from './log-checks'
import { dataOf, entriesOf, offsets, record, upTo } from './witness'

/** What listeners are told while nothing fails. */
export const liveChecks: readonly LogCheck[] = [
  {
    name: '[D2] live records come exactly once each, in order, from right after the head that open named',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        await cast.append(0, 'p', record(1), record(2))
        const appends: Promise<Cursor>[] = []
        for (const n of upTo(10, 3)) appends.push(cast.append(n, 'p', record(n)))
        const openings = upTo(instances).map((n) => cast.open(n, 'p'))
        for (const n of upTo(20, 11)) appends.push(cast.append(n, 'p', record(n)))
        const opened = await Promise.all(openings)
        for (const n of upTo(30, 21)) appends.push(cast.append(n, 'p', record(n)))
        await Promise.all(appends)
        for (const { witness, head } of opened) {
          const seen = offsets(await witness.until(30 - head.offset))
          assert.deepEqual(seen, upTo(30, head.offset + 1), `after the head ${head.offset}`)
          assert.deepEqual(witness.doubts, [])
        }
      }),
  },
  {
    name: '[D4] what was accepted before open lies before its head, or is told',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        for (const n of upTo(10)) {
          const accepted = await cast.append(n, 'p', record(n))
          const { witness, close } = await cast.open(n + 1, 'p')
          await witness.reaches(accepted)
          close()
        }
      }),
  },
  {
    name: '[D1] every listener of a project sees the same order, also where one of them appends in turn',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const witnesses = [...(await cast.openAll('p')), (await cast.open(0, 'p')).witness]
        const answers: Promise<Cursor>[] = []
        const [first] = witnesses
        if (first)
          first.onEntry = ({ offset }) => {
            if (offset <= 5) answers.push(cast.append(0, 'p', record('answer')))
          }
        await cast.append(0, 'p', record(1), record(2))
        for (const n of upTo(3)) await cast.append(n, 'p', record(n))
        for (const witness of witnesses) await witness.until(10)
        await Promise.all(answers)
        const seen = witnesses.map(({ entriesSeen }) => entriesSeen.map((entry) => [entry.offset, dataOf(entry)]))
        for (const one of seen) assert.deepEqual(one, seen[0])
        assert.deepEqual(
          seen[0]?.map(([offset]) => offset),
          upTo(10),
        )
      }),
  },
  {
    name: '[D1] several instances publish at once, and all see one order without a hole',
    run: (subject, instances) =>
      Cast.play(
        subject,
        instances,
        async (cast) => {
          const witnesses = await cast.openAll('p')
          const appends = upTo(300).map(async (n) => {
            // Some at once, some after others.
            if (n % 3 === 0) await cast.append(n, 'p', record([n, 'first']))
            return cast.append(n, 'p', record(n))
          })
          const last = Math.max(...offsets(await Promise.all(appends)))
          assert.equal(last, 400)
          for (const witness of witnesses) {
            assert.deepEqual(offsets(await witness.until(400)), upTo(400))
            assert.deepEqual(witness.doubts, [])
          }
        },
        { ...RETENTION, events: 1_000 },
      ),
  },
  {
    name: '[D2] a listener that is closed is told nothing more, and the others are',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const first = await cast.open(0, 'p')
        const second = await cast.open(0, 'p')
        const third = await cast.open(1, 'p')
        const all = [first, second, third]
        const one = await cast.append(0, 'p', record(1))
        for (const { witness } of all) await witness.reaches(one)
        first.close()
        const two = await cast.append(1, 'p', record('after'))
        for (const { witness } of [second, third]) await witness.reaches(two)
        assert.deepEqual(offsets(first.witness.entriesSeen), [1], 'what the closed one saw')
        second.close()
        // A second close is nothing; and whoever comes back is told again.
        second.close()
        const again = await cast.open(0, 'p')
        const last = await cast.append(1, 'p', record('again'))
        await again.witness.reaches(last)
        await third.witness.reaches(last)
      }),
  },
  {
    name: '[D3] what one instance has told is replayed by another, and by one that has come later',
    run: (subject, instances) =>
      Cast.play(subject, instances, async (cast) => {
        const { witness, close } = await cast.open(0, 'p')
        for (const n of upTo(5)) await cast.append(n, 'p', record(n))
        await witness.until(5)
        const seen = witness.head
        close()
        for (const n of upTo(10, 6)) await cast.append(n, 'p', record(n))
        if (subject.manifest.shared) await cast.join()
        for (let n = 0; n < cast.instances; n++) {
          const page = entriesOf(await cast.on(n).read('p', seen, 100))
          assert.deepEqual(page.map(dataOf), upTo(10, 6), `after the cursor of instance 0, at instance ${n}`)
          const { head } = await cast.open(n, 'p')
          assert.equal(head.epoch, seen.epoch, 'one log has one epoch, whoever is asked')
        }
      }),
  },
]
