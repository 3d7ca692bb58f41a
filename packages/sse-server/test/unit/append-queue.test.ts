import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { LogRecord } from '../../src/seams/adapter'
import { type Append, AppendQueue, type AppendQueueOptions, checkSizes, settle } from '../../src/seams/append-queue'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

const record = (data: string | number): LogRecord => ({ type: 'a:b', data: String(data), channel: 'default' })

/** A broker that answers when it is told to. */
class Broker {
  readonly batches: Append[][] = []
  readonly #answers: { resolve: () => void; reject: (error: Error) => void }[] = []
  readonly queue: AppendQueue
  #offset = 0

  constructor(options: Partial<AppendQueueOptions> = {}) {
    this.queue = new AppendQueue({
      sizeOf: ({ data }) => data.length,
      check: (_, records) => checkSizes(records, 1_000),
      maxPending: 100,
      maxBatchRecords: 10,
      maxBatchBytes: 1_000,
      maxInFlight: 1,
      timeoutMs: 5_000,
      laneOf: (projectId) => projectId,
      closed: () => new Error('closed'),
      refused: (trouble) => new Error(trouble),
      write: async (batch) => {
        this.batches.push([...batch])
        await new Promise<void>((resolve, reject) => this.#answers.push({ resolve, reject }))
        for (const { records } of batch) this.#offset += records.length
        settle(batch, { epoch: 'e', offset: this.#offset })
      },
      ...options,
    })
  }

  /** What was sent, by batch. */
  get sent(): string[][] {
    return this.batches.map((batch) => batch.flatMap(({ records }) => records.map(({ data }) => data)))
  }

  async answer(error?: Error): Promise<void> {
    await vi.waitFor(() => expect(this.#answers.length).toBeGreaterThan(0), WAIT)
    const { resolve, reject } = this.#answers.shift()!
    if (error) reject(error)
    else resolve()
    await new Promise(setImmediate)
  }
}

describe('appends that wait go together', () => {
  it('[D1] a single one is on its way before the next task; those that come meanwhile go together, in order, each told its own end', async () => {
    const broker = new Broker()
    const first = broker.queue.add('p', [record(1)])
    await Promise.resolve()
    expect(broker.sent).toEqual([['1']])
    const later = [2, 3, 4].map((n) => broker.queue.add('p', [record(n), record(`${n}b`)]))
    await broker.answer()
    expect(await first).toEqual({ epoch: 'e', offset: 1 })
    expect(broker.sent).toEqual([['1'], ['2', '2b', '3', '3b', '4', '4b']])
    await broker.answer()
    expect((await Promise.all(later)).map(({ offset }) => offset)).toEqual([3, 5, 7])
  })

  it('[D7] a batch that fails rejects for those who were in it and for nobody else', async () => {
    const broker = new Broker()
    const before = broker.queue.add('p', [record('before')])
    await Promise.resolve()
    const doomed = Promise.allSettled(['a', 'b'].map((name) => broker.queue.add('p', [record(name)])))
    const other = broker.queue.add('q', [record('other project')])
    await broker.answer()
    // The other project's is answered first: nobody waits for another lane.
    await broker.answer()
    await Promise.all([before, other])
    const after = broker.queue.add('p', [record('after')])
    await broker.answer(new Error('no memory'))
    expect(await doomed).toMatchObject([
      { status: 'rejected', reason: { message: 'no memory' } },
      { status: 'rejected', reason: { message: 'no memory' } },
    ])
    await broker.answer()
    expect((await after).epoch).toBe('e')
    expect(broker.sent).toEqual([['before'], ['other project'], ['a', 'b'], ['after']])
  })

  it('[P1] what is too large is refused by itself, with those beside it sent', async () => {
    const broker = new Broker()
    const all = Promise.allSettled(
      [record('fine'), record('x'.repeat(1_001)), record('fine too')].map((one) => broker.queue.add('p', [one])),
    )
    await broker.answer()
    expect(await all).toMatchObject([
      { value: { offset: 1 } },
      { reason: { code: 'EVENT_TOO_LARGE' } },
      { value: { offset: 2 } },
    ])
  })

  it('[P7] a batch is bounded by records and by bytes, and one append that has more goes alone', async () => {
    const broker = new Broker({ maxBatchRecords: 3, maxBatchBytes: 100 })
    const large = Array.from({ length: 5 }, (_, n) => record(`large ${n}`))
    const all = [
      ...[1, 2, 3, 4].map((n) => [record(n)]),
      large,
      [record('x'.repeat(90))],
      [record('y'.repeat(20))],
    ].map((records) => broker.queue.add('p', records))
    for (let n = 0; n < 5; n++) await broker.answer()
    await Promise.all(all)
    expect(broker.sent.map(({ length }) => length)).toEqual([3, 1, 5, 1, 1])
  })

  it('[P7] at most so many are pending, in number and in bytes; room comes with each answer, before its publisher is told', async () => {
    const broker = new Broker({ maxPending: 2 })
    const again = broker.queue.add('p', [record(1)]).then(() => broker.queue.add('p', [record('again')]))
    const second = broker.queue.add('q', [record(2)])
    await expect(broker.queue.add('p', [record(3)])).rejects.toThrow('at most 2 may (maxPendingAppends)')
    for (let n = 0; n < 3; n++) await broker.answer()
    await Promise.all([again, second])
  })

  it('[P7] what is in the log of a batch that fails is resolved, and counts once', async () => {
    const broker = new Broker({
      maxPending: 2,
      write: async ([first]) => {
        first!.resolve({ epoch: 'e', offset: 1 })
        throw new Error('the rest is not')
      },
    })
    for (let n = 0; n < 3; n++) {
      const both = [1, 2].map((data) => broker.queue.add('p', [record(data)]))
      await expect(broker.queue.add('p', [record('too many')])).rejects.toThrow('at most 2 may')
      expect(await Promise.allSettled(both)).toMatchObject([
        { value: { offset: 1 } },
        { reason: { message: 'the rest is not' } },
      ])
    }
  })

  it('[D1] with two batches of a project on their way, the third waits for one of them', async () => {
    const broker = new Broker({ maxInFlight: 2 })
    const all: Promise<unknown>[] = []
    for (let n = 1; n <= 5; n++) {
      all.push(broker.queue.add('p', [record(n)]))
      await new Promise(setImmediate)
    }
    expect(broker.sent).toEqual([['1'], ['2']])
    await broker.answer()
    expect(broker.sent).toEqual([['1'], ['2'], ['3', '4', '5']])
    await broker.answer()
    await broker.answer()
    await Promise.all(all)
  })

  it('[B1] each is answered within its time, however many batches hang before it', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const deadlines: number[] = []
    const broker = new Broker({
      timeoutMs: 300,
      maxBatchRecords: 1,
      write: async (_, deadline) => {
        deadlines.push(deadline - performance.now())
        await new Promise((_, reject) => setTimeout(() => reject(new Error('hangs')), deadline - performance.now()))
      },
    })
    const all = [1, 2, 3, 4, 5].map((n) => broker.queue.add('p', [record(n)]))
    const ended = Promise.allSettled(all)
    await vi.advanceTimersByTimeAsync(300)
    expect(vi.getTimerCount()).toBe(0)
    const reasons = (await ended).map((one) => (one as PromiseRejectedResult).reason.message)
    // What was never sent says so: it surely did not happen.
    expect(reasons[0]).toBe('hangs')
    expect(reasons.at(-1)).toBe('was busy with other appends for 300 ms')
    expect(deadlines.length).toBeLessThan(5)
  })

  it('[D7] close takes no more, and answers what it was asked before; where that fails the rest is refused', async () => {
    for (const fails of [false, true]) {
      const broker = new Broker({ maxBatchRecords: 1 })
      const all = Promise.allSettled([1, 2, 3].map((n) => broker.queue.add('p', [record(n)])))
      const closing = broker.queue.close()
      await expect(broker.queue.add('p', [record('late')])).rejects.toThrow('closed')
      await broker.answer()
      await broker.answer(fails ? new Error('gone') : undefined)
      if (!fails) await broker.answer()
      await closing
      const reasons = (await all).map((one) => ('reason' in one ? one.reason.message : 'kept'))
      expect(reasons).toEqual(fails ? ['kept', 'gone', 'closed'] : ['kept', 'kept', 'kept'])
    }
  })
})
