import assert from 'node:assert/strict'
import { Cast } from './cast'
import type { LogCheck } from './log-checks'
import type { MessagesUnderTest } from './subject'
import { dataOf, offsets, record, upTo, type Witness } from './witness'

type Deliver = () => void | Promise<void>

/** What happens to the messages between instances, and what listeners may notice of it: nothing but time. */
export const messageChecks: readonly LogCheck[] = [
  {
    name: '[B2] a message that comes twice is told once',
    run: (subject, instances) =>
      withMessages(subject, instances, async (cast, { intercept }) => {
        await intercept(async (deliver) => {
          await deliver()
          await deliver()
        })
        const witnesses = await cast.openAll('p')
        await seesAll(cast, witnesses, 10)
      }),
  },
  {
    name: '[B2] messages that come in another order are told in the order of the log',
    run: (subject, instances) =>
      withMessages(subject, instances, async (cast, { intercept }) => {
        const held: Deliver[] = []
        await intercept((deliver) => {
          held.push(deliver)
        })
        const witnesses = await cast.openAll('p')
        for (const n of upTo(8)) await cast.append(n, 'p', record(n))
        await cast.eventually('the messages', () => held.length >= 8)
        for (const deliver of held.splice(0).reverse()) await deliver()
        await intercept((deliver) => deliver())
        await seesAll(cast, witnesses, 9, 8)
      }),
  },
  {
    name: '[B2] a message that is lost is repaired from the log when the next one comes',
    run: (subject, instances) =>
      withMessages(subject, instances, async (cast, { intercept }) => {
        let nth = 0
        await intercept((deliver) => (++nth % 3 === 2 ? undefined : deliver()))
        const witnesses = await cast.openAll('p')
        await seesAll(cast, witnesses, 12)
      }),
  },
  {
    name: '[B2] a message that is lost with none after it is repaired too',
    run: (subject, instances) =>
      withMessages(subject, instances, async (cast, { intercept }) => {
        await intercept(() => {})
        const witnesses = await cast.openAll('p')
        await seesAll(cast, witnesses, 3)
      }),
  },
  {
    name: '[B2] a message that comes after it was repaired is dropped, and one from long ago too',
    run: (subject, instances) =>
      withMessages(subject, instances, async (cast, { intercept }) => {
        const late: Deliver[] = []
        await intercept((deliver) => {
          late.push(deliver)
        })
        const witnesses = await cast.openAll('p')
        await seesAll(cast, witnesses, 4)
        await intercept((deliver) => deliver())
        for (const deliver of late) await deliver()
        await seesAll(cast, witnesses, 8, 4)
        for (const deliver of late) await deliver()
        await seesAll(cast, witnesses, 12, 8)
      }),
  },
  {
    name: '[B2] a listener that begins while messages are under way misses none and is told none twice',
    run: (subject, instances) =>
      withMessages(subject, instances, async (cast, { intercept }) => {
        const held: Deliver[] = []
        await intercept((deliver) => {
          held.push(deliver)
        })
        for (const n of upTo(4)) await cast.append(n, 'p', record(n))
        const opening = upTo(instances).map((n) => cast.open(n, 'p'))
        await cast.append(0, 'p', record(5))
        const opened = await Promise.all(opening)
        await intercept((deliver) => deliver())
        for (const deliver of held) await deliver()
        const last = await cast.append(1, 'p', record(6))
        for (const { witness, head } of opened) {
          await witness.reaches(last)
          assert.deepEqual(offsets(witness.entriesSeen), upTo(6, head.offset + 1))
          assert.deepEqual(witness.doubts, [])
        }
      }),
  },
  {
    name: '[B3] what is no message is skipped, and what follows it is told',
    run: (subject, instances) =>
      withMessages(subject, instances, async (cast, { garbage }) => {
        if (!garbage) return
        const witnesses = await cast.openAll('p')
        await garbage('p')
        await seesAll(cast, witnesses, 2)
        await garbage('p')
        await seesAll(cast, witnesses, 4, 2)
      }),
  },
]

function withMessages(
  subject: Parameters<LogCheck['run']>[0],
  instances: number,
  check: (cast: Cast, messages: MessagesUnderTest) => Promise<void>,
): Promise<void> {
  return Cast.play(subject, instances, async (cast) => {
    const { messages } = cast.log
    if (messages) await check(cast, { ...messages, intercept: (hold) => messages.intercept(hold) })
  })
}

/** Appends up to `last`, and has every witness see all of it, in order, once, and without a doubt. */
async function seesAll(cast: Cast, witnesses: readonly Witness[], last: number, before = 0): Promise<void> {
  for (const n of upTo(last, before + 1)) await cast.append(n, 'p', record(n))
  for (const witness of witnesses) {
    const seen = await witness.until(last)
    assert.deepEqual(seen.map(dataOf), upTo(last))
    assert.deepEqual(witness.doubts, [])
  }
}
