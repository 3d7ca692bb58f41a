import type { Connection, ConnectionFilter } from '../feed/connection'

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

/** Every open connection of the process, by id, and how many each project, user and address has. */
export class Registry {
  readonly #byId = new Map<string, Connection>()
  readonly #perProject = new Map<string, number>()
  readonly #perIp = new Map<string, number>()
  /** By project, then by user. */
  readonly #perUser = new Map<string, Map<string, number>>()

  get size(): number {
    return this.#byId.size
  }

  add(connection: Connection): void {
    this.#byId.set(connection.id, connection)
    this.#count(connection, 1)
  }

  /** Called once for each connection that was added, when its end begins: one that is on its way out no longer counts. */
  remove(connection: Connection): void {
    if (!this.#byId.delete(connection.id)) return
    this.#count(connection, -1)
  }

  get(connectionId: string): Connection | undefined {
    return this.#byId.get(connectionId)
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#byId.values()
  }

  *matching(filter: ConnectionFilter): Generator<Connection, void, undefined> {
    const { connectionId } = filter
    const candidates = connectionId === undefined ? this.#byId.values() : [this.#byId.get(connectionId)]
    for (const connection of candidates) if (connection?.matches(filter)) yield connection
  }

  /** The first limit that one more connection of this kind would break. */
  exceeded(
    limits: Readonly<Record<LimitName, number>>,
    newcomer: { projectId: string; userId: string | undefined; ip: string | undefined },
  ): LimitName | undefined {
    const { projectId, userId, ip } = newcomer
    if (this.#byId.size >= limits.perProcess) return 'perProcess'
    if ((this.#perProject.get(projectId) ?? 0) >= limits.perProject) return 'perProject'
    if (userId !== undefined && (this.#perUser.get(projectId)?.get(userId) ?? 0) >= limits.perUser) return 'perUser'
    if (ip !== undefined && (this.#perIp.get(ip) ?? 0) >= limits.perIp) return 'perIp'
    return undefined
  }

  #count({ feed: { projectId }, userId, grant: { ip } }: Connection, by: 1 | -1): void {
    count(this.#perProject, projectId, by)
    if (ip !== undefined) count(this.#perIp, ip, by)
    if (userId === undefined) return
    let users = this.#perUser.get(projectId)
    if (!users) {
      users = new Map()
      this.#perUser.set(projectId, users)
    }
    count(users, userId, by)
    if (users.size === 0) this.#perUser.delete(projectId)
  }
}

function count(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const after = (counts.get(key) ?? 0) + by
  if (after > 0) counts.set(key, after)
  else counts.delete(key)
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
