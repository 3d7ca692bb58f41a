import cluster, { type Worker } from 'node:cluster'
import { EventEmitter } from 'node:events'
import type { LogEntry } from '@entitycast/sse-server'
import { ClusterAdapter, type ClusterLog, type IpcChannel, startClusterLog } from '@entitycast/sse-server/cluster'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

/** A busy machine may need it. */
const WAIT = { timeout: 15_000 }

/** One end of an IPC channel: what is said comes out at the other one, as JSON, a turn later. */
class End extends EventEmitter implements IpcChannel {
  other!: End
  readonly said: unknown[] = []
  /** Nobody reads at the other end: what is said now does not leave. */
  isStuck = false
  #left: (() => void)[] = []

  static pair(): [End, End] {
    const pair: [End, End] = [new End(), new End()]
    for (const [n, end] of pair.entries()) end.other = pair[1 - n] as End
    return pair
  }

  send(...[message, , , callback]: Parameters<NonNullable<IpcChannel['send']>>): unknown {
    const text = JSON.stringify(message)
    const leave = () => {
      this.said.push(JSON.parse(text))
      setImmediate(() => this.other.emit('message', JSON.parse(text)))
      callback(null)
    }
    if (this.isStuck) this.#left.push(leave)
    else leave()
    return !this.isStuck
  }

  free(): void {
    this.isStuck = false
    for (const leave of this.#left.splice(0)) leave()
  }
}

const RETENTION = { ageMs: 60_000, events: 10_000, bytes: 10_000_000 }
const record = (data: string) => ({ type: 'a:b', data, channel: 'default' })

let log: ClusterLog
let ends: [End, End]
const adapters: ClusterAdapter[] = []
beforeEach(() => {
  log = startClusterLog()
  ends = End.pair()
  log.attach(ends[0])
})
afterEach(async () => {
  for (const end of ends) end.free()
  await Promise.all(adapters.splice(0).map((adapter) => adapter.close()))
  await log.close()
})

function adapterOn(channel: IpcChannel, options = {}): ClusterAdapter {
  const adapter = new ClusterAdapter({ channel, checkIntervalMs: 600_000, ...options })
  adapter.start(RETENTION)
  adapters.push(adapter)
  return adapter
}

describe('the way to the primary', () => {
  it('[P7] what is published in one turn goes in one message, and comes back in one, in all projects', async () => {
    const [primary, worker] = ends
    const adapter = adapterOn(worker)
    const heard: LogEntry[] = []
    const listener = { entries: (entries: readonly LogEntry[]) => void heard.push(...entries), doubt: () => {} }
    await Promise.all(['p', 'q'].map((project) => adapter.open(project, listener)))
    primary.said.length = worker.said.length = 0
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => adapter.append(n % 2 ? 'p' : 'q', [record(`${n}`)])))
    await vi.waitFor(() => expect(heard).toHaveLength(1_000), WAIT)
    expect([worker.said.length, primary.said.length]).toEqual([1, 1])
  })

  it('[P7] a message holds about a megabyte, and the next one waits until it has left', async () => {
    const [, worker] = ends
    const adapter = adapterOn(worker)
    await adapter.append('p', [record('first')])
    worker.said.length = 0
    worker.isStuck = true
    const appends = Array.from({ length: 30 }, () => adapter.append('p', [record('x'.repeat(100_000))]))
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    expect(worker.said).toHaveLength(0)
    worker.free()
    expect((await Promise.all(appends)).at(-1)?.offset).toBe(31)
    expect(worker.said).toHaveLength(3)
  })

  it('[D4] a burst that is larger than the retention is told whole; one that is larger than what may wait is told as a doubt', async () => {
    const [primary, worker] = ends
    const adapter = new ClusterAdapter({ channel: worker })
    adapters.push(adapter)
    adapter.start({ ...RETENTION, events: 10, bytes: 1_000_000 })
    const heard: number[] = []
    const doubts: unknown[] = []
    await adapter.open('p', {
      entries: (entries) => void heard.push(...entries.map(({ offset }) => offset)),
      doubt: ({ offset }, reason) => void doubts.push([offset, reason]),
    })
    await Promise.all(Array.from({ length: 3_000 }, (_, n) => adapter.append('p', [record(`${n}`)])))
    await vi.waitFor(() => expect(heard).toHaveLength(3_000), WAIT)
    expect(doubts).toEqual([])
    // The worker does not read. What waits for it is bounded.
    primary.isStuck = true
    const appends = Array.from({ length: 200 }, () => adapter.append('p', [record('x'.repeat(100_000))]))
    await vi.waitFor(() => expect(worker.said.length).toBeGreaterThan(20), WAIT)
    primary.free()
    await Promise.all(appends)
    const last = await adapter.append('p', [record('last')])
    await vi.waitFor(() => expect(heard.at(-1)).toBe(last.offset), WAIT)
    expect(doubts).toEqual([[expect.any(Number), 'broker-gap']])
  })

  it('[P7] whoever catches up holds nobody up: what is live goes with the first answers', async () => {
    const [primary, worker] = ends
    const adapter = adapterOn(worker)
    const { epoch } = await adapter.append(
      'past',
      Array.from({ length: 20 }, () => record('x'.repeat(100_000))),
    )
    const heard: LogEntry[] = []
    await adapter.open('p', { entries: (entries) => void heard.push(...entries), doubt: () => {} })
    primary.said.length = 0
    const reads = Array.from({ length: 50 }, () => adapter.read('past', { epoch, offset: 0 }, 1_000))
    await adapter.append('p', [record('live')])
    for (const page of await Promise.all(reads)) expect('entries' in page && page.entries.length).toBeGreaterThan(0)
    expect(primary.said.length).toBeGreaterThanOrEqual(20)
    expect(heard).toHaveLength(1)
    const isLive = (message: unknown) =>
      (message as { 'entitycast:log': unknown[][] })['entitycast:log'][5]?.length !== 0
    expect(primary.said.findIndex(isLive)).toBeLessThan(3)
  })

  it('[B1] what waited too long and was not sent is refused, and never happens', async () => {
    const [, worker] = ends
    // What must be answered in it is, also where the machine stands still for a moment.
    const adapter = adapterOn(worker, { timeoutMs: 1_000 })
    await adapter.append('p', [record('1')])
    worker.isStuck = true
    const sent = adapter.append('p', [record('sent')])
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    const unsent = adapter.append('p', [record('unsent')])
    await expect(sent).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(unsent).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(adapter.status()).toBe('degraded')
    worker.free()
    const { epoch, offset } = await adapter.append('p', [record('after')])
    expect(offset).toBe(3)
    const page = await adapter.read('p', { epoch, offset: 0 }, 10)
    expect('entries' in page && page.entries.map((entry) => entry.record.data)).toEqual(['1', 'sent', 'after'])
  })

  it('[P7] at most so many appends wait: the next is refused at once', async () => {
    const [, worker] = ends
    const adapter = adapterOn(worker, { maxPendingAppends: 5 })
    const waiting = Array.from({ length: 5 }, () => adapter.append('p', [record('1')]))
    const error = await adapter.append('p', [record('too much')]).catch((one) => one)
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('maxPendingAppends') })
    await Promise.all(waiting)
    await adapter.append('p', [record('after')])
  })

  it('[D7] what the newest worker wants kept is what is kept', async () => {
    const [, worker] = ends
    const first = adapterOn(worker)
    const { epoch } = await first.append(
      'p',
      [1, 2, 3, 4, 5].map((n) => record(`${n}`)),
    )
    const second = new ClusterAdapter({ channel: worker })
    adapters.push(second)
    second.start({ ...RETENTION, events: 2 })
    await second.append('p', [record('6')])
    const found = await Promise.all([3, 4].map((offset) => second.read('p', { epoch, offset }, 10)))
    expect(found.map((page) => ('gap' in page ? page.gap : page.entries.length))).toEqual(['expired', 2])
  })

  it('[N11] a primary of another version: calls say so', async () => {
    const [primary, worker] = ends
    const adapter = adapterOn(worker, { timeoutMs: 50 })
    // An older one would take no notice of what it cannot read but say this.
    await log.close()
    const refused = adapter.append('p', [record('1')])
    primary.send({ 'entitycast:log': [99] }, undefined, undefined, () => {})
    await expect(refused).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('another version'),
    })
  })

  it('[N11] a worker of another version is answered with the own one', async () => {
    const [primary, worker] = ends
    worker.send({ 'entitycast:log': [99, 'what they speak then'] }, undefined, undefined, () => {})
    await vi.waitFor(() => expect(primary.said).toHaveLength(1), WAIT)
    expect(primary.said).toEqual([{ 'entitycast:log': [1, expect.anything(), expect.anything(), 0, [], []] }])
  })

  it('[B1] a process that is attached twice is served once: what it publishes is there once', async () => {
    const [primary, worker] = ends
    log.attach(primary)
    const adapter = adapterOn(worker)
    const { epoch } = await adapter.append('p', [record('once')])
    await vi.waitFor(async () => {
      const page = await adapter.read('p', { epoch, offset: 0 }, 10)
      expect(page).toEqual({ entries: [{ offset: 1, record: record('once') }] })
    }, WAIT)
    primary.emit('disconnect')
    expect(primary.listenerCount('message')).toBe(0)
    log.attach(primary)
    expect(primary.listenerCount('message')).toBe(1)
  })

  it('[B1] a worker that is forked right before the log begins is served once', async () => {
    await log.close()
    // As node:cluster does it: the worker is in the list at once, and the event comes in the next turn.
    const child = new End()
    const worker = { process: child } as unknown as Worker
    Object.assign(cluster.workers as object, { 1: worker })
    try {
      log = startClusterLog()
      cluster.emit('fork', worker)
      expect(child.listenerCount('message')).toBe(1)
    } finally {
      Reflect.deleteProperty(cluster.workers as object, 1)
    }
  })

  it('[S2] nothing is left of an adapter that has closed, and of a worker that has gone', async () => {
    const [primary, worker] = ends
    const adapter = adapterOn(worker)
    await adapter.open('p', { entries: () => {}, doubt: () => {} })
    await adapter.close()
    expect([worker.listenerCount('message'), worker.listenerCount('disconnect')]).toEqual([0, 0])
    primary.emit('disconnect')
    expect([primary.listenerCount('message'), primary.listenerCount('disconnect')]).toEqual([0, 0])
  })
})

describe('options of the cluster adapter', () => {
  it.each([
    [{ timeoutMs: 10 }, 'timeoutMs'],
    [{ maxPendingAppends: 0 }, 'maxPendingAppends'],
    [{ checkIntervalMs: Number.NaN }, 'checkIntervalMs'],
    [{ channel: {} }, 'channel'],
    [{ timeout: 5_000 }, 'timeout is not an option'],
  ])('[N11] %j is refused, and the message says what is right', (options, part) => {
    expect(() => new ClusterAdapter(options as object)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(part) }),
    )
  })

  it('[N11] one hub an adapter, and no call before it is started', async () => {
    const idle = new ClusterAdapter({ channel: ends[1] })
    await expect(idle.append('p', [])).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    const adapter = adapterOn(ends[1])
    expect(() => adapter.start(RETENTION)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})
