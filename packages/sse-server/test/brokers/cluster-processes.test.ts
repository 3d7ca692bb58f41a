import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { ClusterAdapter } from '@entitycast/sse-server/cluster'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/broker-hub'
import { LogProcess, Programs } from '../support/cluster'
import type { AppMessage, Order, Seen } from '../support/cluster-app'

let programs: Programs
beforeAll(async () => {
  programs = await Programs.build('cluster-app', 'cluster-primary')
})
afterAll(() => programs?.end())

/** An application: its primary, and through it the workers. */
class App {
  pids: number[] = []
  readonly #answers = new Map<number, (answer: unknown) => void>()
  #id = 0

  private constructor(readonly primary: ChildProcess) {
    primary.on('message', ({ id, answer }: { id: number; answer: unknown }) => this.#answers.get(id)?.(answer))
  }

  static async start(order: Partial<Order & { do: 'start' }> = {}): Promise<App> {
    const app = new App(fork(programs.path('cluster-app'), { execArgv: ['--expose-gc'] }))
    apps.push(app)
    app.pids = await app.ask({ do: 'start', log: true, workers: 2, children: 0, ...order })
    return app
  }

  ask<Answer>(order: Order): Promise<Answer> {
    const id = ++this.#id
    const answered = new Promise((resolve) => this.#answers.set(id, resolve))
    this.primary.send({ id, order })
    return answered as Promise<Answer>
  }

  worker<Answer>(worker: number, message: AppMessage): Promise<Answer> {
    return this.ask({ do: 'worker', worker, message })
  }

  async append(
    worker: number,
    project: string,
    count: number,
    bytes?: number,
  ): Promise<{ epoch: string; offset: number }> {
    const end = await this.worker<{ epoch: string; offset: number }>(worker, { do: 'append', project, count, bytes })
    expect(end).toEqual({ epoch: expect.any(String), offset: expect.any(Number) })
    return end
  }

  seen(worker: number, project: string): Promise<Seen> {
    return this.worker<Seen>(worker, { do: 'seen', project })
  }

  async end(): Promise<void> {
    for (const pid of this.pids) if (isAlive(pid)) process.kill(pid, 'SIGCONT')
    if (this.primary.exitCode === null && this.primary.signalCode === null) {
      const exit = once(this.primary, 'exit')
      this.primary.kill('SIGKILL')
      await exit
    }
    for (const pid of this.pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  }
}

const apps: App[] = []
afterEach(() => Promise.all(apps.splice(0).map((app) => app.end())))

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('several processes of node:cluster and child_process.fork', () => {
  it('[D1] two workers and a child publish at once: all three see one order, and messages of the application pass', async () => {
    const app = await App.start({ children: 1 })
    const projects = ['p', '__proto__', '\u0001entitycast']
    for (const project of projects) for (const n of [0, 1, 2]) await app.worker(n, { do: 'open', project })
    await Promise.all(projects.flatMap((project) => [0, 1, 2].map((n) => app.append(n, project, 500))))
    for (const project of projects) {
      const all = await eventually(async () => {
        const seen = await Promise.all([0, 1, 2].map((n) => app.seen(n, project)))
        for (const { head } of seen) expect(head).toBe(1_500)
        return seen
      })
      for (const { doubts, isBroken, texts } of all) {
        expect({ doubts, isBroken }).toEqual({ doubts: [], isBroken: false })
        expect(texts).toEqual(all[0]?.texts)
      }
    }
    expect(await app.ask<{ hello: number }[]>({ do: 'hellos' })).toEqual(
      expect.arrayContaining(app.pids.map((hello) => ({ hello }))),
    )
  })

  it('[B1] a worker is killed in the middle of what it publishes: the others miss nothing, and the next one reads all of it', async () => {
    const app = await App.start()
    await app.worker(0, { do: 'open', project: 'p' })
    const { epoch } = await app.append(1, 'p', 50)
    // No answer comes to this one: the worker dies with it.
    void app.worker(1, { do: 'append', project: 'p', count: 5_000 })
    await eventually(async () => expect((await app.seen(0, 'p')).head).toBeGreaterThan(50))
    process.kill(app.pids[1] as number, 'SIGKILL')
    // All that it said before has been read by then.
    await app.ask({ do: 'gone', worker: 1 })
    await eventually(() => expect(isAlive(app.pids[1] as number)).toBe(false))
    const last = await app.append(0, 'p', 1)
    app.pids.push(await app.ask<number>({ do: 'fork' }))
    const read = await eventually(async () => {
      const texts = await app.worker<string[]>(2, { do: 'read', project: 'p', epoch })
      expect(texts.length).toBe(Math.min(last.offset, 1_000))
      return texts
    })
    const seen = await eventually(async () => {
      const one = await app.seen(0, 'p')
      expect(one).toMatchObject({ head: last.offset, isBroken: false, doubts: [] })
      return one
    })
    expect(seen.texts.slice(0, read.length)).toEqual(read)
    expect(read.slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, n) => `${app.pids[1]}.${n + 1}`))
  })

  it('[S2] what waits for a worker that stands still is bounded; it holds nobody up, and then is told a doubt or everything', async () => {
    const app = await App.start()
    for (const project of ['much', 'little']) for (const n of [0, 1]) await app.worker(n, { do: 'open', project })
    await app.append(1, 'much', 20, 100_000)
    const before = await app.ask<number>({ do: 'memory' })
    process.kill(app.pids[0] as number, 'SIGSTOP')
    // 100 MB pass by; 2 MB of them are retained.
    for (let n = 0; n < 50; n++) await app.append(1, 'much', 20, 100_000)
    const last = await app.append(1, 'little', 10)
    await eventually(async () => expect((await app.seen(1, 'much')).head).toBe(1_020))
    expect((await app.ask<number>({ do: 'memory' })) - before).toBeLessThan(20_000_000)
    process.kill(app.pids[0] as number, 'SIGCONT')
    await eventually(async () => {
      expect(await app.seen(0, 'much')).toMatchObject({ head: 1_020, isBroken: false, doubts: ['broker-gap'] })
      expect(await app.seen(0, 'little')).toMatchObject({ head: last.offset, isBroken: false, doubts: [] })
    })
    expect((await app.seen(1, 'much')).doubts).toEqual([])
    await app.append(0, 'much', 1)
    for (const n of [0, 1]) await eventually(async () => expect((await app.seen(n, 'much')).head).toBe(1_021))
  })

  it('[B4] the primary is killed: its workers end, a child is told so in every call, and the next primary has new epochs', async () => {
    const app = await App.start()
    const { epoch } = await app.append(0, 'p', 5)
    app.primary.kill('SIGKILL')
    await eventually(() => expect(app.pids.map(isAlive)).toEqual([false, false]))
    const next = await App.start()
    expect(await next.worker(1, { do: 'read', project: 'p', epoch })).toEqual({ gap: 'epoch' })

    const log = LogProcess.start(programs, 'json')
    await log.fresh()
    const adapter = new ClusterAdapter({ channel: log.child })
    adapter.start({ ageMs: 60_000, events: 100, bytes: 100_000 })
    const told: unknown[] = []
    const listener = { entries: () => told.push('entries'), doubt: () => told.push('doubt') }
    await adapter.open('p', listener)
    expect(adapter.status()).toBe('ok')
    const waiting = adapter.read('p', { epoch, offset: 0 }, 1).catch((one) => one)
    log.signal('SIGSTOP')
    const refused = adapter.append('p', [{ type: 'a:b', data: '1', channel: 'default' }]).catch((one) => one)
    await Promise.all([waiting, log.end()])
    const error = await refused
    expect(error).toMatchObject({ code: 'UNAVAILABLE' })
    expect(error.message).toContain('gone')
    await expect(adapter.open('q', listener)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(adapter.status()).toBe('degraded')
    await adapter.close()
    expect(told).toEqual([])
  })

  it('[N11] a primary that forgot its call: calls end with a code that names it, and work when it is made', async () => {
    const app = await App.start({ log: false, workers: 1 })
    const refused = await app.worker<{ code: string; error: string }>(0, { do: 'open', project: 'p' })
    expect(refused).toMatchObject({ code: 'UNAVAILABLE', error: expect.stringContaining('startClusterLog()') })
    expect(await app.worker(0, { do: 'status' })).toBe('degraded')
    await app.ask({ do: 'log' })
    await eventually(async () => expect(await app.worker(0, { do: 'status' })).toBe('ok'))
    expect(await app.append(0, 'p', 1)).toMatchObject({ offset: 1 })
  })

  it('[N11] the wrong process: each is told where the call belongs', async () => {
    const app = await App.start({ workers: 1 })
    expect(await app.ask({ do: 'misuse' })).toEqual([
      { code: 'INVALID_OPTION', error: expect.stringContaining('once is enough') },
      { code: 'INVALID_OPTION', error: expect.stringContaining('make the hub in the workers') },
    ])
    expect(await app.worker(0, { do: 'misuse' })).toEqual({
      code: 'INVALID_OPTION',
      error: expect.stringContaining('in the primary process'),
    })
  })
})
