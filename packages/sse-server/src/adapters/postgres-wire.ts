import { randomBytes } from 'node:crypto'
import { HubError } from '@entitycast/sse-server'
import type { PostgresSettings } from './postgres-options'
import { type Row, reasonOf, Session, type SessionListener, type Statement } from './postgres-session'
import { channelOf, DURABLE, MIGRATIONS, named } from './postgres-sql'

/** The oldest version that has what our statements need. */
const LEAST_VERSION = 120_000

/**
 * The two sessions of a process, which live and die together: one listens and asks, so that nothing that is written holds up what is told;
 * the other writes.
 */
export class Wire {
  /** The server and its past, as our tables name them. */
  server = ''
  /** Whose tables these are. */
  database: string | null | undefined
  readonly #listening: Session
  readonly #writing: Session
  #heard: (channel: string) => void = () => {}
  readonly #probe = `entitycast_probe_${randomBytes(12).toString('hex')}`

  constructor(
    pool: object,
    readonly settings: PostgresSettings,
    listener: SessionListener,
  ) {
    const { lost } = listener
    const notified = (channel: string, payload: string) => {
      if (channel === this.#probe) this.#heard(channel)
      else listener.notified(channel, payload)
    }
    this.#listening = new Session(pool, { notified, lost })
    this.#writing = new Session(pool, { notified: () => {}, lost })
  }

  /** @throws HubError `MIGRATION_MISSING`, `TRANSACTION_POOLING`, `UNSUPPORTED`, which no second try mends */
  async connect(): Promise<void> {
    await Promise.all([this.#listening.connect(), this.#writing.connect()])
    await this.#checkServer()
    // Before anything is set: behind a proxy that shares sessions it would stay set for the application.
    await this.#checkSessions()
    await Promise.all([this.#prepare(this.#listening), this.#prepare(this.#writing)])
    this.server = this.settings.durable ? DURABLE : await this.#past()
    await this.#checkMigrations()
  }

  /** Runs what reads, and what must not wait for appends. */
  ask(statement: Statement): Promise<Row[]> {
    return this.#listening.run(statement)
  }

  write(statement: Statement): Promise<Row[]> {
    return this.#writing.run(statement)
  }

  /** For how long a statement has had no answer, in milliseconds. */
  get silentMs(): number {
    return Math.max(this.#listening.silentMs, this.#writing.silentMs)
  }

  end(gracefully: boolean): void {
    this.#listening.end(gracefully)
    this.#writing.end(gracefully)
  }

  /** What our statements rely on, whatever the defaults of the role or the database are. */
  async #prepare(session: Session): Promise<void> {
    // The server gives a statement up before we give the connection up.
    const timeoutMs = Math.ceil(this.settings.timeoutMs * 0.8)
    await session.run({
      text: `SET default_transaction_isolation = 'read committed'; SET statement_timeout = ${timeoutMs}; SET lock_timeout = 0;
        SET idle_in_transaction_session_timeout = 0; SET client_encoding = 'UTF8'; SET search_path = pg_catalog;
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
        SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')`,
    })
  }

  async #checkServer(): Promise<void> {
    const [row] = await this.write({
      text: `SELECT pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.current_database() AS database,
        pg_catalog.current_setting('server_encoding') AS encoding, pg_catalog.current_setting('server_version') AS version,
        pg_catalog.current_setting('server_version_num') AS number`,
    })
    const { standby, database, encoding, number, version } = row as Row
    this.database = database
    if (standby === 't') throw Object.assign(new Error('a standby'), { code: 'READ_ONLY_STANDBY' })
    if (Number(number) < LEAST_VERSION) {
      throw new HubError('UNSUPPORTED', `This is PostgreSQL ${version}; at least 12 is needed`)
    }
    if (encoding !== 'UTF8') {
      throw new HubError('UNSUPPORTED', `The database has the encoding ${encoding}; use one with UTF8`)
    }
  }

  /** The cluster, and its timeline, which is another one after a promotion or a restore. */
  async #past(): Promise<string> {
    const ask = (expression: string) =>
      this.write({ text: `SELECT ${expression} AS value` }).then(([row]) => row?.value)
    try {
      // No one but the cluster itself may be asked for its name; the timeline and the table's own file tell most of it.
      const system = await ask('(SELECT system_identifier FROM pg_control_system())').catch((error) => {
        if (!isDatabaseError(error)) throw error
        return '-'
      })
      return `${system}/${await ask('substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)')}`
    } catch (error) {
      if (!isDatabaseError(error)) throw error
      throw new HubError(
        'UNSUPPORTED',
        `The timeline of this server cannot be had (${reasonOf(error)}), and so not whether a failover has lost events. Grant EXECUTE on pg_current_wal_lsn() and pg_walfile_name(pg_lsn); or, where a failover loses nothing, say durable: true`,
      )
    }
  }

  async #checkMigrations(): Promise<void> {
    const table = named(this.settings, 'migration')
    const [found] = await this.write({ text: 'SELECT to_regclass($1) AS name', values: [table] })
    const applied = found?.name ? await this.write({ text: `SELECT id FROM ${table}` }) : []
    const missing = MIGRATIONS.filter((id) => !applied.some((row) => Number(row.id) === id))
    if (missing.length === 0) return
    throw new HubError(
      'MIGRATION_MISSING',
      `Migration ${missing.join(', ')} of Entitycast is missing in the schema ${this.settings.schema}, for the prefix ${this.settings.prefix}; run what PostgresAdapter.sql({ schema, prefix }) returns`,
      { retryAfterMs: 5_000 },
    )
  }

  /**
   * Proves that these are two sessions of their own, and that the one that listens hears. Behind a proxy that pools transactions a LISTEN
   * is lost with the first one, and what is set on a session is set for somebody else.
   */
  async #checkSessions(): Promise<void> {
    const probe = `"${this.#probe}"`
    let timer: NodeJS.Timeout | undefined
    let hasHeard = false
    const heard = new Promise<void>((resolve) => {
      this.#heard = () => {
        hasHeard = true
        resolve()
      }
      timer = setTimeout(resolve, Math.min(this.settings.timeoutMs / 2, 2_000)).unref()
    })
    const pid = async (session: Session, before = '', after = '') =>
      (await session.run({ text: `${before}SELECT pg_catalog.pg_backend_pid() AS pid${after}` }))[0]?.pid
    try {
      const first = await pid(this.#listening, `LISTEN ${probe}; LISTEN "${channelOf(this.settings)}"; `)
      const other = await pid(this.#writing, 'BEGIN; ', `; NOTIFY ${probe}; COMMIT`)
      // The listening one is silent meanwhile: whoever shares it has no reason to pass on what comes.
      if (other !== first) await heard
      // A server that is its own tells what it has for us before it answers, however slow it is.
      const isOwn = other !== first && (await pid(this.#listening)) === first && hasHeard
      if (!isOwn) {
        throw new HubError(
          'TRANSACTION_POOLING',
          'A proxy between us and PostgreSQL (PgBouncer with pool_mode = transaction, or one like it) shares sessions, so that LISTEN is lost. Give the adapter a pool that leads to PostgreSQL directly or to a port with pool_mode = session; the client of publish(event, { client }) may come through the proxy',
          { retryAfterMs: 5_000 },
        )
      }
      await this.ask({ text: `UNLISTEN ${probe}` })
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Whether the server itself has said no, rather than the network. */
function isDatabaseError(error: unknown): boolean {
  return /^(?:42|0A|55)[0-9A-Z]{3}$/.test(reasonOf(error))
}
