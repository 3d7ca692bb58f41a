import type { Ports, ProjectEvent } from '@entitycast/sse-client'
import { type SharedOptions, shareAcrossTabs, type TabPorts } from '@entitycast/sse-client/tabs'
import type { FakeServer } from '@entitycast/sse-client/testing'

interface Waiter {
  readonly tab: number
  readonly granted: () => Promise<void> | undefined
  resolve(): void
  reject(error: unknown): void
}

/** Web Locks and BroadcastChannel of one origin, with tabs that a test can freeze and kill. */
export class FakeBrowser {
  readonly #locks = new Map<string, { holder: Waiter | undefined; queue: Waiter[] }>()
  readonly #channels = new Set<{ tab: number; name: string; hear(message: unknown): void }>()
  readonly #frozen = new Map<number, (() => void)[]>()
  readonly #deaf = new Set<number>()
  #tabs = 0

  /** Locks that are held, and requests for one. */
  get claims(): number {
    return [...this.#locks.values()].reduce((sum, { holder, queue }) => sum + queue.length + (holder ? 1 : 0), 0)
  }

  get channels(): number {
    return this.#channels.size
  }

  /** A new tab, which does not connect yet, and what its handlers were told. */
  tab(
    server: FakeServer,
    options: Partial<SharedOptions> = {},
    ports: Partial<Ports> = {},
    listen = (tabs: TabPorts) => tabs,
  ) {
    const tab = this.#tabs++
    const ids: (string | null | undefined)[] = []
    const resyncs: string[] = []
    const errors: string[] = []
    const subscriber = shareAcrossTabs(
      'https://fake.test/api/events/stream',
      { projectId: server.projectId, identity: 'u1', fetch: server.fetch, ...options },
      { ...server.ports, ...ports, tabs: listen(this.#ports(tab)) },
    )
    subscriber.on('*', (event: ProjectEvent) => ids.push(event.id))
    subscriber.onResync(({ reason }) => resyncs.push(reason))
    subscriber.onError(({ code }) => errors.push(code))
    return { tab, subscriber, ids, resyncs, errors, role: () => subscriber.getSnapshot().role }
  }

  /** Nothing that other tabs or the browser say reaches it, nor does it say anything, until it is thawed. */
  freeze(tab: number): void {
    this.#frozen.set(tab, [])
  }

  thaw(tab: number): void {
    const late = this.#frozen.get(tab) ?? []
    this.#frozen.delete(tab)
    for (const task of late) task()
  }

  /** What other tabs say to it is lost, until `undeafen()`. */
  deafen(tab: number): void {
    this.#deaf.add(tab)
  }

  undeafen(tab: number): void {
    this.#deaf.delete(tab)
  }

  /** The tab's process is gone: the browser gives its locks away, and nobody is told. */
  kill(tab: number): void {
    this.freeze(tab)
    for (const channel of this.#channels) if (channel.tab === tab) this.#channels.delete(channel)
    for (const [name, lock] of this.#locks) {
      lock.queue = lock.queue.filter((waiter) => waiter.tab !== tab)
      if (lock.holder?.tab === tab) this.#next(name)
    }
  }

  #ports(tab: number): TabPorts {
    return {
      openChannel: (name, hear) => {
        const channel = { tab, name, hear: (message: unknown) => this.#in(tab, () => hear(message)) }
        this.#channels.add(channel)
        return {
          post: (message) => this.#in(tab, () => this.#post(channel, message)),
          close: () => this.#channels.delete(channel),
        }
      },
      locks: {
        request: (name, { signal, steal }, granted) =>
          new Promise((resolve, reject) => {
            const lock = this.#locks.get(name) ?? { holder: undefined, queue: [] }
            this.#locks.set(name, lock)
            const waiter: Waiter = { tab, granted, resolve: () => resolve(undefined), reject }
            const abort = () => this.#in(tab, () => reject(new DOMException('', 'AbortError')))
            signal?.addEventListener('abort', () => {
              if (!lock.queue.includes(waiter)) return
              lock.queue = lock.queue.filter((one) => one !== waiter)
              abort()
            })
            if (steal) {
              const { holder } = lock
              if (holder) this.#in(holder.tab, () => holder.reject(new DOMException('', 'AbortError')))
              this.#grant(name, waiter)
            } else if (lock.holder) lock.queue.push(waiter)
            else this.#grant(name, waiter)
          }),
      },
    }
  }

  #post(from: { tab: number; name: string }, message: unknown): void {
    const copy = structuredClone(message)
    for (const channel of this.#channels) {
      if (channel === from || channel.name !== from.name || this.#deaf.has(channel.tab)) continue
      queueMicrotask(() => this.#channels.has(channel as never) && channel.hear(copy))
    }
  }

  #grant(name: string, waiter: Waiter): void {
    const lock = this.#locks.get(name)
    if (lock) lock.holder = waiter
    queueMicrotask(() =>
      this.#in(waiter.tab, async () => {
        await waiter.granted()
        waiter.resolve()
        if (lock?.holder === waiter) this.#next(name)
      }),
    )
  }

  #next(name: string): void {
    const lock = this.#locks.get(name)
    if (!lock) return
    lock.holder = undefined
    const next = lock.queue.shift()
    if (next) this.#grant(name, next)
  }

  #in(tab: number, task: () => void): void {
    const late = this.#frozen.get(tab)
    if (late) late.push(task)
    else task()
  }
}
