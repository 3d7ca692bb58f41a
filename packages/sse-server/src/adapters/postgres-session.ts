/*
 * One connection to PostgreSQL, of the team's own client class. Nothing is imported from the library.
 */

/** A row as PostgreSQL writes it: text, whatever parsers the application has set. */
export type Row = Readonly<Record<string, string | null>>

/** A statement. With a name it is prepared once. */
export interface Statement {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly name?: string
}

interface Result {
  readonly rows: Row[]
}

interface PgClient {
  connect(): Promise<unknown>
  query(statement: object): Promise<Result | Result[]>
  end(): Promise<void>
  on(event: string, listener: (...args: never[]) => void): unknown
  readonly connection?: { readonly stream?: { destroy?(): void } }
}

interface PgPool {
  readonly options: Readonly<Record<string, unknown>>
  readonly Client: new (config: object) => PgClient
}

/** What a session tells. */
export interface SessionListener {
  notified(channel: string, payload: string): void
  /** It is broken; called at least once then, perhaps with why. */
  lost(error?: unknown): void
}

/** A graceful end gets this long, in milliseconds. */
const END_MS = 1_000

const asText = { getTypeParser: () => (value: unknown) => value }

/** A connection that runs one statement after the other. It never reconnects by itself. */
export class Session {
  readonly #client: PgClient
  /** The end of what was asked last. */
  #last: Promise<unknown> = Promise.resolve()
  /** When the statement that runs was sent, by the monotonic clock; 0 while none runs. */
  #sentAt = 0
  #isEnding = false

  constructor(pool: object, listener: SessionListener) {
    const { options, Client } = pool as PgPool
    this.#client = new Client({
      ...options,
      // It is not enumerable.
      password: options.password,
      keepAlive: true,
      binary: false,
      // Ours are set on the session: proxies refuse them as parameters.
      statement_timeout: undefined,
      lock_timeout: undefined,
      idle_in_transaction_session_timeout: undefined,
      query_timeout: undefined,
      connectionTimeoutMillis: 0,
    })
    this.#client.on('error', (error: unknown) => listener.lost(error))
    this.#client.on('end', () => listener.lost())
    this.#client.on('notification', ({ channel, payload = '' }: { channel: string; payload?: string }) =>
      listener.notified(channel, payload),
    )
  }

  connect(): Promise<unknown> {
    return this.#client.connect()
  }

  /** Runs a statement after those that wait: its rows, or those of the last of several. */
  run(statement: Statement): Promise<Row[]> {
    const result = this.#last.then(async () => {
      this.#sentAt = performance.now()
      try {
        const results = await this.#client.query({ ...statement, types: asText })
        return Array.isArray(results) ? (results.findLast(({ rows }) => rows.length > 0)?.rows ?? []) : results.rows
      } finally {
        this.#sentAt = 0
      }
    })
    this.#last = result.catch(() => {})
    return result
  }

  /** For how long the statement that runs has had no answer, in milliseconds. */
  get silentMs(): number {
    return this.#sentAt === 0 ? 0 : performance.now() - this.#sentAt
  }

  /** Ends it: at once, or as one says goodbye. */
  end(gracefully: boolean): void {
    const cut = () => this.#client.connection?.stream?.destroy?.()
    if (this.#isEnding) {
      if (!gracefully) cut()
      return
    }
    this.#isEnding = true
    const timer = setTimeout(cut, END_MS).unref()
    // It never resolves for a client that is still connecting.
    void Promise.resolve()
      .then(() => this.#client.end())
      .then(() => clearTimeout(timer))
      .catch(() => {})
    if (!gracefully) cut()
  }
}

/**
 * Why PostgreSQL failed, in a word: its SQLSTATE, or `ECONNREFUSED`. Never the error's own text or fields, which hold what was sent.
 */
export function reasonOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  if (typeof code === 'string' && /^[A-Z0-9_]{3,40}$/.test(code)) return code
  return (error as object | undefined)?.constructor.name ?? 'unknown'
}
