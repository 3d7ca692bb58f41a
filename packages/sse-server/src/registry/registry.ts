import type { Connection, ConnectionFilter } from '../feed/connection'
import type { Addressed } from '../seams/exchange'
import { Addresses } from './addresses'

/** An open stream, as `connections()` lists it. */
export interface ConnectionInfo {
  readonly connectionId: string
  readonly projectId: string
  readonly userId?: string
  /** What it reads: `'all'`, or these channels. */
  readonly channels: 'all' | readonly string[]
  /** Milliseconds since it was opened. */
  readonly ageMs: number
  /** Whether its socket is full: it is behind, and catches up when it drains. */
  readonly lagging: boolean
}

/** Which of the limits a further connection would break. */
export type LimitName = 'perUser' | 'perIp' | 'perProject' | 'perProcess'

/** Who asks for one more connection. */
export interface Newcomer {
  readonly projectId: string
  readonly userId: string | undefined
  readonly from: Addressed
}

const NO_LIMITS = {
  perUser: Number.POSITIVE_INFINITY,
  perIp: Number.POSITIVE_INFINITY,
  perProject: Number.POSITIVE_INFINITY,
  perProcess: Number.POSITIVE_INFINITY,
}

/** Every open connection of the process, by id, project and user, and how many each address has. */
export class Registry {
  #size = 0
  /** From the first time on that one is looked for: each would cost every stream, and most applications never name one. */
  #byId: Map<string, Connection> | undefined
  /**
   * The feeds' own: a set is what a stream's opening pays for most, in the collector too, so there is no second one of a project's streams, and
   * none of them all. A feed with a reader is the only one of its project.
   */
  readonly #byProject = new Map<string, Set<Connection>>()
  /** In all projects. Most users have one stream, and need no set. */
  readonly #byUser = new Map<string, Connection | Set<Connection>>()
  readonly #addresses: Addresses<Connection>

  constructor(readonly limits: Readonly<Record<LimitName, number>> = NO_LIMITS) {
    this.#addresses = new Addresses<Connection>(this, limits.perIp, ({ grant }) => grant.from)
  }

  get size(): number {
    return this.#size
  }

  /** Called when it reads its feed already. */
  add(connection: Connection): void {
    const { feed, userId } = connection
    if (!this.#byProject.has(feed.projectId)) this.#byProject.set(feed.projectId, feed.connections as Set<Connection>)
    this.#size++
    this.#byId?.set(connection.id, connection)
    if (userId !== undefined) this.#enter(userId, connection)
    this.#addresses.add(connection)
  }

  /** Called once for each connection that was added, when its end begins and it has left its feed: one that is on its way out no longer counts. */
  remove(connection: Connection): void {
    const { feed, userId } = connection
    if (feed.connections.size === 0) this.#byProject.delete(feed.projectId)
    this.#size--
    this.#byId?.delete(connection.id)
    if (userId !== undefined) this.#leave(userId, connection)
    this.#addresses.remove(connection)
  }

  get(connectionId: string): Connection | undefined {
    this.#byId ??= new Map(Array.from(this, (connection) => [connection.id, connection]))
    return this.#byId.get(connectionId)
  }

  /** One project after the other; in each the oldest first. */
  *[Symbol.iterator](): Generator<Connection, void, undefined> {
    for (const neighbours of this.#byProject.values()) yield* neighbours
  }

  /** At the cost of those that belong to the connection, the user or the project that is named, in this order. */
  *matching(filter: ConnectionFilter): Generator<Connection, void, undefined> {
    for (const connection of this.#candidates(filter)) if (connection.matches(filter)) yield connection
  }

  /** The first limit that one more connection of this kind would break, if one of the same user and project were not there. */
  exceeded({ projectId, userId, from }: Newcomer, without?: Connection): LimitName | undefined {
    const { limits } = this
    const less = without ? 1 : 0
    if (this.#size - less >= limits.perProcess) return 'perProcess'
    if ((this.#byProject.get(projectId)?.size ?? 0) - less >= limits.perProject) return 'perProject'
    if (userId !== undefined && this.#isUserFull(projectId, userId, limits.perUser + less)) return 'perUser'
    return this.#addresses.isFull(from, without) ? 'perIp' : undefined
  }

  /** The user's oldest connection in the project whose peer owes an answer. */
  suspect({ projectId, userId }: Newcomer): Connection | undefined {
    if (userId === undefined) return undefined
    for (const connection of this.matching({ projectId, userId })) if (connection.sink.suspect) return connection
    return undefined
  }

  #candidates({ connectionId, userId, projectId }: ConnectionFilter): Iterable<Connection> {
    if (connectionId !== undefined) {
      const connection = this.get(connectionId)
      return connection ? [connection] : []
    }
    if (userId !== undefined) return this.#of(userId)
    if (projectId !== undefined) return this.#byProject.get(projectId) ?? []
    return this
  }

  /** A user with streams in many projects is counted only as far as one of them could be full. */
  #isUserFull(projectId: string, userId: string, limit: number): boolean {
    const connections = this.#byUser.get(userId)
    if (!connections || (connections instanceof Set ? connections.size : 1) < limit) return false
    let open = 0
    for (const { feed } of this.#of(userId)) if (feed.projectId === projectId) open++
    return open >= limit
  }

  #of(userId: string): Iterable<Connection> {
    const connections = this.#byUser.get(userId)
    if (!connections) return []
    return connections instanceof Set ? connections : [connections]
  }

  #enter(userId: string, connection: Connection): void {
    const others = this.#byUser.get(userId)
    if (others instanceof Set) others.add(connection)
    else this.#byUser.set(userId, others ? new Set([others, connection]) : connection)
  }

  #leave(userId: string, connection: Connection): void {
    const connections = this.#byUser.get(userId)
    if (!(connections instanceof Set)) this.#byUser.delete(userId)
    else if (connections.delete(connection) && connections.size === 0) this.#byUser.delete(userId)
  }
}

/** What may be told of a connection; `now` is the monotonic clock's. */
export function connectionInfo(connection: Connection, now: number): ConnectionInfo {
  return {
    connectionId: connection.id,
    projectId: connection.feed.projectId,
    ...(connection.userId !== undefined && { userId: connection.userId }),
    channels: connection.grant.channels ?? 'all',
    ageMs: Math.round(now - connection.openedAt),
    lagging: connection.full,
  }
}
