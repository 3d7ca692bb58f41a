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
  readonly #counts = new Map<string, number>()

  get size(): number {
    return this.#byId.size
  }

  add(connection: Connection): void {
    this.#byId.set(connection.id, connection)
    for (const key of keysOf(connection)) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** Called once for each connection that was added, when its end begins: one that is on its way out no longer counts. */
  remove(connection: Connection): void {
    if (!this.#byId.delete(connection.id)) return
    for (const key of keysOf(connection)) {
      const count = (this.#counts.get(key) ?? 0) - 1
      if (count > 0) this.#counts.set(key, count)
      else this.#counts.delete(key)
    }
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
    if ((this.#counts.get(projectKey(projectId)) ?? 0) >= limits.perProject) return 'perProject'
    if (userId !== undefined && (this.#counts.get(userKey(projectId, userId)) ?? 0) >= limits.perUser) return 'perUser'
    if (ip !== undefined && (this.#counts.get(ipKey(ip)) ?? 0) >= limits.perIp) return 'perIp'
    return undefined
  }
}

function keysOf({ feed, userId, grant }: Connection): string[] {
  const keys = [projectKey(feed.projectId)]
  if (userId !== undefined) keys.push(userKey(feed.projectId, userId))
  if (grant.ip !== undefined) keys.push(ipKey(grant.ip))
  return keys
}

// Ids hold no control characters, so none can be chosen to read as another pair.
const projectKey = (projectId: string) => `p\n${projectId}`
const userKey = (projectId: string, userId: string) => `u\n${projectId}\n${userId}`
const ipKey = (ip: string) => `i\n${ip}`

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
