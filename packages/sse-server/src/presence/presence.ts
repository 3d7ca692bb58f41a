import { HubError } from '../hub/error'
import type { Peers } from '../peers/peers'
import type { Adapter } from '../seams/adapter'
import type { Ports } from '../seams/ports'
import type { PresenceHost, PresentUser } from './present-user'
import { Room } from './room'

/** Who is there is known within this, in milliseconds, or not at all. */
const TIMEOUT_MS = 10_000

/** Who is present in which project, as all instances know it. A project in which nobody is costs nothing. */
export class Presence {
  readonly #rooms = new Map<string, Room>()
  #failing = false
  #closed = false

  constructor(
    readonly adapter: Adapter,
    readonly ports: Ports,
    readonly options: { readonly graceMs: number; readonly channel: string; readonly retentionMs: number },
    readonly peers: Peers,
    readonly host: Omit<PresenceHost, 'unavailable'>,
  ) {}

  /** Rooms that need to be looked after. */
  get size(): number {
    return this.#rooms.size
  }

  tick(now: number): void {
    this.#failing = false
    for (const [projectId, room] of this.#rooms) {
      if (!room.tick(now)) continue
      this.#rooms.delete(projectId)
      room.close().catch((error) => this.#failed(error))
    }
  }

  /** A stream was opened. One without a user counts for nobody, and wants to be told of others. */
  entered(projectId: string, userId: string | undefined): void {
    const room = this.#room(projectId)
    room.streams++
    if (userId !== undefined) room.users.entered(userId)
    room.work()
  }

  /** A stream has ended. */
  left(projectId: string, userId: string | undefined): void {
    const room = this.#rooms.get(projectId)
    if (!room) return
    room.streams--
    if (userId !== undefined) room.users.left(userId, this.ports.clock.monotonic() + this.options.graceMs)
  }

  /** @throws HubError `UNAVAILABLE`, `CLOSED` */
  users(projectId: string): Promise<PresentUser[]> {
    if (this.#closed) return Promise.reject(new HubError('CLOSED', 'The hub is closed'))
    return this.#room(projectId).present(TIMEOUT_MS)
  }

  /** Whoever is here moves on to another instance, or leaves when the grace time is over. */
  async close(): Promise<void> {
    this.#closed = true
    const rooms = [...this.#rooms.values()]
    this.#rooms.clear()
    await Promise.allSettled(rooms.map((room) => room.close()))
  }

  #room(projectId: string): Room {
    let room = this.#rooms.get(projectId)
    if (!room) {
      const { adapter, ports, peers, options } = this
      const host: PresenceHost = {
        head: (id) => this.host.head(id),
        published: (count) => this.host.published(count),
        wake: () => this.host.wake(),
        failed: (error) => this.#failed(error),
        unavailable: () =>
          new HubError('UNAVAILABLE', 'Who is present is not known: the log cannot be reached', {
            retryAfterMs: 1_000,
          }),
      }
      room = new Room(projectId, { adapter, ports, peers, host, ...options })
      this.#rooms.set(projectId, room)
      this.host.wake()
    }
    return room
  }

  /** Reported once a round, however many rooms there are. */
  #failed(error: unknown): void {
    if (this.#failing || this.adapter.status?.() === 'degraded') return
    this.#failing = true
    this.host.failed(error)
  }
}
