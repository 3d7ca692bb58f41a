import { Feed } from '../feed/feed'
import type { Rounds } from '../feed/rounds'
import type { Adapter, Retention } from '../seams/adapter'
import type { Clock } from '../seams/ports'
import { HubError } from './error'
import { inTime } from './in-time'

/** A feed that nobody reads is kept for this long, in milliseconds: longer than a newcomer may wait for the log, so that it finds it open. */
const IDLE_FEED_MS = 60_000

interface Host {
  /** A feed was opened: there is something to look after. */
  opened(): void
  /** An adapter has thrown, and nothing has to be done. */
  failed(error: unknown): void
}

/** The open feeds of a hub, one a project: opened when first asked for, let go when nobody has read for a while. */
export class Feeds {
  readonly #open = new Map<string, Feed>()
  readonly #opening = new Map<string, Promise<Feed>>()
  #closed = false

  constructor(
    readonly adapter: Adapter,
    readonly retention: Retention,
    readonly clock: Clock,
    readonly rounds: Rounds,
    readonly host: Host,
  ) {}

  get size(): number {
    return this.#open.size
  }

  /** Bytes of events that they hold. */
  get bytes(): number {
    let bytes = 0
    for (const feed of this.#open.values()) bytes += feed.bytes
    return bytes
  }

  /** The project's feed, where it is open already. */
  opened(projectId: string): Feed | undefined {
    return this.#open.get(projectId)
  }

  /**
   * The project's feed. Rejects where the log cannot be opened; the next call tries again. A log that neither opens nor fails is asked
   * once, however many wait for it: each in its time, and whoever comes after it has opened finds it.
   */
  async get(projectId: string): Promise<Feed> {
    const open = this.#open.get(projectId)
    if (open) {
      open.idleSince = this.clock.monotonic()
      return open
    }
    let opening = this.#opening.get(projectId)
    if (!opening) {
      opening = this.#make(projectId).finally(() => this.#opening.delete(projectId))
      this.#opening.set(projectId, opening)
    }
    return inTime(this.clock, opening, didNotOpen)
  }

  /** Lets go of events that are too old, and of feeds that nobody reads. `now` is the monotonic clock's. */
  tidy(now: number): void {
    for (const [projectId, feed] of this.#open) {
      feed.trim()
      if (!feed.idle || now - feed.idleSince <= IDLE_FEED_MS) continue
      this.#open.delete(projectId)
      this.#letGo(feed)
    }
  }

  close(): void {
    this.#closed = true
    for (const feed of this.#open.values()) {
      feed.listeners.clear()
      this.#letGo(feed)
    }
    this.#open.clear()
  }

  async #make(projectId: string): Promise<Feed> {
    const feed = new Feed(projectId, this.adapter, this.retention, this.clock, this.rounds)
    await feed.open()
    if (this.#closed) this.#letGo(feed)
    else {
      this.#open.set(projectId, feed)
      this.host.opened()
    }
    return feed
  }

  /** Whoever lets go of many goes on with the next one. */
  #letGo(feed: Feed): void {
    try {
      feed.close()
    } catch (error) {
      this.host.failed(error)
    }
  }
}

function didNotOpen(): HubError {
  return new HubError('UNAVAILABLE', 'The event log did not open in time', { retryAfterMs: 5_000 })
}
