/*
 * The end of the caller's transactions, as their own connection tells it. A NOTIFY inside of a transaction would tell it too, but PostgreSQL
 * writes the commits of notifying transactions to the disk one at a time, for the whole cluster.
 */

/** What a connection of `pg` is, as far as we look at it: each answer ends with whether a transaction is open (`T`), failed (`E`), or none is (`I`). */
interface Connection {
  on(event: string, listener: (message: { status?: string }) => void): unknown
  off(event: string, listener: (message: { status?: string }) => void): unknown
}

interface Watched {
  /** Statements of ours that have no answer yet. */
  running: number
  status: string
  /** Projects that the open transaction has published into. */
  readonly projects: Set<string>
  readonly stop: () => void
}

/** The end of the last statement of ours on each client, whichever hub it is for. */
const turns = new WeakMap<object, Promise<unknown>>()

/** Runs a statement of ours on the caller's client when those before it are answered: `pg` wants one at a time, and callers publish several. */
export function inTurn<Result>(client: object, run: () => Promise<Result>): Promise<Result> {
  const before = turns.get(client)
  const result = before ? before.then(run) : run()
  const end = result.then(
    () => {},
    () => {},
  )
  turns.set(client, end)
  void end.then(() => turns.get(client) === end && turns.delete(client))
  return result
}

/** Watches the connections on which something was published, until their transaction has ended. */
export class Commits {
  readonly #watched = new Map<Connection, Watched>()

  constructor(
    /** A transaction that has published into this project has ended, one way or the other. */
    readonly ended: (projectId: string) => void,
  ) {}

  /** Whether the end of a transaction on this client can be seen. Not behind a wrapper of it, or in another library. */
  canWatch(client: object): boolean {
    const { connection } = client as { connection?: Partial<Connection> }
    return typeof connection?.on === 'function' && typeof connection.off === 'function'
  }

  /** Runs a statement that publishes into a project. */
  async watch<Result>(client: object, projectId: string, run: () => Promise<Result>): Promise<Result> {
    const { connection } = client as { connection: Connection }
    const watched = this.#watched.get(connection) ?? this.#begin(connection)
    watched.running++
    try {
      const result = await run()
      watched.projects.add(projectId)
      return result
    } finally {
      watched.running--
      this.#look(connection, watched)
    }
  }

  close(): void {
    for (const { stop } of this.#watched.values()) stop()
  }

  #begin(connection: Connection): Watched {
    const answered = ({ status = '' }) => {
      watched.status = status
      this.#look(connection, watched)
    }
    const stop = () => {
      connection.off('readyForQuery', answered)
      connection.off('end', stop)
      this.#watched.delete(connection)
    }
    const watched: Watched = { running: 0, status: '', projects: new Set(), stop }
    connection.on('readyForQuery', answered)
    connection.on('end', stop)
    this.#watched.set(connection, watched)
    return watched
  }

  #look(connection: Connection, watched: Watched): void {
    if (watched.status !== 'I' || this.#watched.get(connection) !== watched) return
    const projects = [...watched.projects]
    watched.projects.clear()
    if (watched.running === 0) watched.stop()
    for (const projectId of projects) this.ended(projectId)
  }
}
