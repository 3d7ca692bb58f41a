import cluster, { type Worker } from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { HubError, MemoryAdapter, type Retention } from '@entitycast/sse-server'
import { type Ask, decodeAsk, encodeTell, type IpcChannel } from './cluster-wire'
import { WorkerLink } from './cluster-worker-link'

/** Says that a log has begun in this process, to every copy of this package in it. */
const STARTED = Symbol.for('@entitycast/sse-server/cluster-log')

const flags = globalThis as { [STARTED]?: boolean }

/** Whether this process is the one that holds the log. */
export function holdsLog(): boolean {
  return flags[STARTED] === true
}

/** The log of a primary process. */
export interface ClusterLog {
  /**
   * Serves a process of `child_process.fork` too. Workers of `node:cluster` are served by themselves. May be called twice.
   *
   * @example
   * log.attach(fork('./worker.js'))
   */
  attach(child: IpcChannel): void
  /** Stops serving, and forgets all events. Calls of the workers reject from then on. */
  close(): Promise<void>
}

/**
 * Holds the log of all workers: one call in the primary process, before or after it forks. Workers make their hub with a
 * `ClusterAdapter`. The primary keeps in memory what `retention` of the workers' hubs covers, and serves no page itself.
 *
 * @throws HubError `INVALID_OPTION` in a worker, and where the log of this process has begun already
 *
 * @example
 * if (cluster.isPrimary) {
 *   startClusterLog()
 *   for (let n = 0; n < os.availableParallelism(); n++) cluster.fork()
 * } else {
 *   const hub = new EventHub({ adapter: new ClusterAdapter() })
 * }
 */
export function startClusterLog(): ClusterLog {
  if (cluster.isWorker) {
    throw new HubError(
      'INVALID_OPTION',
      'startClusterLog() was called in a worker. Call it once in the primary process, where cluster.isPrimary is true',
    )
  }
  if (flags[STARTED]) {
    throw new HubError('INVALID_OPTION', 'startClusterLog() was called before in this process; once is enough')
  }
  flags[STARTED] = true
  return new PrimaryLog()
}

class PrimaryLog implements ClusterLog {
  readonly #name = randomBytes(12).toString('base64url')
  readonly #store = new MemoryAdapter()
  /** What is kept. The store looks at it each time, and the newest worker's word counts: a deployment may change it. */
  readonly #keep = { ageMs: 0, events: 0, bytes: 0 } satisfies Retention
  readonly #ends = new Map<IpcChannel, () => void>()
  readonly #forked = (worker: Worker) => this.attach(worker.process)

  constructor() {
    this.#store.start(this.#keep)
    cluster.on('fork', this.#forked)
    for (const worker of Object.values(cluster.workers ?? {})) if (worker) this.#forked(worker)
  }

  attach(child: IpcChannel): void {
    // A worker that was forked in this turn is in the list, and the event of its fork is yet to come.
    if (this.#ends.has(child)) return
    const links = new Map<string, WorkerLink>()
    const heard = (message: unknown) => {
      const ask = decodeAsk(message)
      if (ask === 'other') {
        // Whoever speaks another version understands as much as that.
        void send(child, encodeTell({ link: '', log: this.#name, live: 0, answers: [], pages: [] }))
      } else if (ask) this.#serve(child, links, ask)
    }
    const end = () => {
      child.off('message', heard)
      child.off('disconnect', end)
      this.#ends.delete(child)
      for (const link of links.values()) link.end()
      links.clear()
    }
    child.on('message', heard)
    child.on('disconnect', end)
    this.#ends.set(child, end)
  }

  async close(): Promise<void> {
    cluster.off('fork', this.#forked)
    for (const end of this.#ends.values()) end()
    await this.#store.close()
    flags[STARTED] = false
  }

  #serve(child: IpcChannel, links: Map<string, WorkerLink>, { link: name, keep, calls }: Ask): void {
    const [ageMs, events, bytes] = keep
    Object.assign(this.#keep, { ageMs, events, bytes })
    let link = links.get(name)
    if (!link) {
      link = new WorkerLink(this.#store, (tell) => send(child, encodeTell({ ...tell, link: name, log: this.#name })))
      links.set(name, link)
    }
    for (const call of calls) {
      if (call[1][0] === 'bye') {
        link.end()
        links.delete(name)
        return
      }
      link.take(call)
    }
  }
}

/** Resolves when the message has left this process, or never will: a worker that does not read is not written to meanwhile. */
function send(child: IpcChannel, message: object): Promise<unknown> {
  return new Promise((resolve) => {
    child.send?.(message, undefined, undefined, resolve)
  })
}
