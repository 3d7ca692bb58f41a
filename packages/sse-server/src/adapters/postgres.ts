import { createHash, randomBytes } from 'node:crypto'
import {
  type Adapter,
  type AdapterManifest,
  type AdapterStatus,
  type Cursor,
  HubError,
  type LogListener,
  type LogPage,
  type LogRecord,
  type OpenLog,
  type Retention,
} from '@entitycast/sse-server'
import { readSettings } from '../seams/adapter-settings'
import { checkSizes } from '../seams/append-queue'
import { encodeRecord, type Found, weightOf } from '../seams/record-text'
import { Appends, MAX_RECORD_BYTES } from './postgres-appends'
import { Care } from './postgres-care'
import { Commits, inTurn } from './postgres-commits'
import { closed, type Link, linkTo, unavailable } from './postgres-link'
import { decodeFound, LiveLog, type Oddities } from './postgres-live'
import { invalid, type PostgresAdapterOptions, type PostgresSettings, readNames, readOptions } from './postgres-options'
import { type Row, reasonOf, type Statement } from './postgres-session'
import { channelOf, migrationText, named, type PostgresNames } from './postgres-sql'
import { Wire } from './postgres-wire'

export type { Oddities } from './postgres-live'
export type { PgPoolLike, PostgresAdapterOptions } from './postgres-options'
export type { PostgresNames } from './postgres-sql'

/** What one read gives at most, in bytes; more is read again. */
const PAGE_BYTES = 1_048_576
const PAGE_RECORDS = 1_000

/** A client of `pg` on which a transaction has begun. */
interface TransactionClient {
  query(statement: object): Promise<{ rows: Row[] }>
}

/**
 * The log in PostgreSQL: several instances, one order, and events that are part of the application's own transactions. Works with the `Pool`
 * of `pg` that the application has, and makes two connections of its own with that pool's settings.
 *
 * @example
 * const hub = new EventHub({ adapter: new PostgresAdapter({ pool }) })
 *
 * const client = await pool.connect()
 * await client.query('BEGIN')
 * await client.query('UPDATE document SET title = $1 WHERE id = $2', [title, id])
 * await hub.project(projectId).updated('document', id, { title }, { client })   // seen if, and only if, this commits
 * await client.query('COMMIT')
 */
export class PostgresAdapter implements Adapter {
  readonly manifest: AdapterManifest = {
    name: 'postgres',
    durability: 'broker-disk',
    shared: true,
    maxRecordBytes: MAX_RECORD_BYTES,
  }
  /** What went wrong on the way and was mended, since the start. */
  readonly oddities: Oddities = { garbage: 0, repaired: 0, doubts: 0 }
  readonly #settings: PostgresSettings
  readonly #pool: object
  readonly #logs = new Map<string, LiveLog>()
  /** The same, by what projects are called in notifications. */
  readonly #keys = new Map<string, LiveLog>()
  #retention: Retention | undefined
  #link: Link | undefined
  #appends: Appends | undefined
  #commits: Commits | undefined
  #care: Care | undefined
  #isClosed = false

  /** @throws HubError `INVALID_OPTION` */
  constructor(options: PostgresAdapterOptions) {
    this.#settings = readOptions(options)
    this.#pool = options.pool
  }

  /**
   * The migrations as SQL, for whatever runs yours; running them again changes nothing. `await pool.query(PostgresAdapter.sql())` does it too.
   *
   * @throws HubError `INVALID_OPTION`
   */
  static sql(names: PostgresNames = {}): string {
    const defaults = { schema: undefined, prefix: undefined }
    return migrationText(
      readNames(readSettings(names, { adapter: 'PostgresAdapter.sql', defaults, ranges: [], invalid })),
    )
  }

  start(retention: Retention): void {
    if (this.#retention) throw invalid('An adapter belongs to one hub; make another one for each')
    this.#retention = retention
    const settings = this.#settings
    const { timeoutMs, maxPendingAppends } = settings
    const link = linkTo({
      dial: (listener) => new Wire(this.#pool, settings, listener),
      // What was committed while nobody listened is in the log.
      up: () => void this.#care?.checkAll(),
      notified: (channel, payload) => this.#notified(channel, payload),
      timeoutMs,
    })
    this.#link = link
    this.#appends = new Appends({
      link,
      text: `SELECT epoch, head, before FROM ${named(settings, 'append')}($1, $2, $3, $4, $5, $6, $7)`,
      maxPending: maxPendingAppends,
      timeoutMs,
      randomName,
      keyOf,
      appended: (projectId, appended) => this.#logs.get(projectId)?.hear(appended),
      settled: (projectId, head) => this.#logs.get(projectId)?.wake(head),
    })
    // Where that fails, whoever asks next gives it its place.
    this.#commits = new Commits((projectId) => void this.#appends?.add(projectId, []).catch(() => {}))
    this.#care = new Care({
      link,
      settings,
      retention,
      logs: this.#logs,
      randomName,
      repaired: (count) => {
        this.oddities.repaired += count
      },
      queueIsFull: () => this.#appends?.quiet(),
    })
  }

  /**
   * Resolves when the database can be used, and rejects where it cannot: for a start that should fail loudly.
   *
   * @throws HubError `MIGRATION_MISSING`, `TRANSACTION_POOLING`, `UNSUPPORTED`, `UNAVAILABLE`, `CLOSED`
   */
  async ready(): Promise<void> {
    this.#opened()
    await (this.#link as Link).use(async () => {})
  }

  append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    try {
      this.#opened()
      return (this.#appends as Appends).add(projectId, records)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The records get their place after the commit, so the cursor is one that lies before them. An error of the transaction itself (SQLSTATE
   * class 40) is thrown as `pg` throws it, since only the caller can run the transaction again.
   *
   * @throws HubError `INVALID_OPTION`, `MIGRATION_MISSING`, `UNAVAILABLE`, `CLOSED`
   */
  async appendIn(client: object, projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    this.#opened()
    if (typeof (client as TransactionClient | null)?.query !== 'function' || 'totalCount' in client) {
      throw invalid('client is no client of pg; give the one that the transaction runs on, not the pool')
    }
    checkSizes(records, MAX_RECORD_BYTES)
    const commits = this.#commits as Commits
    const isWatched = commits.canWatch(client)
    const statement: Statement = {
      text: `WITH added AS (
          INSERT INTO ${named(this.#settings, 'outbox')} (project, record, size)
          SELECT $1, r.record, r.size FROM unnest($2::text[], $3::integer[]) WITH ORDINALITY r (record, size, n) ORDER BY r.n
        )
        SELECT t.epoch, t.head, current_database() AS database, (SELECT pg_notify($4, $5) WHERE $5::text IS NOT NULL) AS told
        FROM (VALUES (1)) one LEFT JOIN ${named(this.#settings, 'project')} t ON t.project = $1`,
      values: [
        projectId,
        records.map(encodeRecord),
        records.map(weightOf),
        channelOf(this.#settings),
        isWatched || this.#appends?.isQuiet ? null : `${keyOf(projectId)} -`,
      ],
    }
    const run = () => inTurn(client, () => this.#inTransaction(client as TransactionClient, statement))
    const [row] = isWatched ? await commits.watch(client, projectId, run) : await run()
    const { database = row?.database } = this.#link?.wire ?? {}
    // It is in an outbox all the same, of which nobody knows: the caller has to roll it back.
    if (row?.database !== database) {
      throw invalid(
        `client is of the database ${row?.database}, and the adapter of ${database}; both must be of the same`,
      )
    }
    if (row?.epoch) return { epoch: row.epoch, offset: Number(row.head) }
    // A row that is not there is made on our own connection: in the transaction it would make others wait. Before the event lies its beginning.
    const { epoch } = await (this.#appends as Appends).add(projectId, [])
    return { epoch, offset: 0 }
  }

  async open(projectId: string, listener: LogListener): Promise<OpenLog> {
    this.#opened()
    const log = this.#logs.get(projectId) ?? this.#follow(projectId)
    return log.open(listener, () => this.#leave(projectId, log))
  }

  async read(projectId: string, { epoch, offset }: Cursor, limit: number): Promise<LogPage> {
    this.#opened()
    const { what, records } = await this.#ask(projectId, epoch, offset, null, limit)
    if (what !== 'ok') return { gap: what }
    return { entries: records.map((record, i) => ({ offset: offset + i + 1, record })) }
  }

  status(): AdapterStatus {
    return this.#link?.isUp ? 'ok' : 'degraded'
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#care?.close()
    this.#commits?.close()
    for (const log of this.#logs.values()) log.close()
    this.#logs.clear()
    this.#keys.clear()
    // Without a connection nothing that waits will be done.
    if (!this.#link?.isUp) this.#link?.refuse()
    await this.#appends?.close()
    this.#link?.close()
  }

  #opened(): Retention {
    if (this.#isClosed) throw closed()
    if (!this.#retention) throw invalid('Give the adapter to an EventHub, which starts it')
    return this.#retention
  }

  /** Begins to follow a project. */
  #follow(projectId: string): LiveLog {
    const log = new LiveLog(
      ({ epoch, offset, tag }) => this.#ask(projectId, epoch, offset, tag, PAGE_RECORDS),
      this.oddities,
    )
    this.#logs.set(projectId, log)
    this.#keys.set(keyOf(projectId), log)
    return log
  }

  #leave(projectId: string, log: LiveLog): void {
    if (this.#logs.get(projectId) !== log) return
    log.close()
    this.#logs.delete(projectId)
    this.#keys.delete(keyOf(projectId))
  }

  async #ask(projectId: string, epoch: string, offset: number, tag: string | null, limit: number): Promise<Found> {
    const { ageMs, events, bytes } = this.#retention as Retention
    const [row] = await (this.#link as Link).use((wire) =>
      wire.ask({
        name: 'entitycast_read',
        text: `SELECT * FROM ${named(this.#settings, 'read')}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
        values: [wire.server, randomName(), projectId, epoch, offset, tag, limit, PAGE_BYTES, ageMs, events, bytes],
      }),
    )
    return decodeFound(row as Row)
  }

  #notified(channel: string, payload: string): void {
    if (channel !== channelOf(this.#settings)) return
    const [, key = '', head] = /^([\w-]{16}) (-|[1-9]\d{0,15})$/.exec(payload) ?? []
    if (head === undefined) this.oddities.garbage++
    else this.#keys.get(key)?.wake(head === '-' ? undefined : Number(head))
  }

  async #inTransaction(client: TransactionClient, { text, values }: Statement): Promise<readonly Row[]> {
    try {
      return (await client.query({ text, values, types: { getTypeParser: () => (value: unknown) => value } })).rows
    } catch (error) {
      const reason = reasonOf(error)
      if (reason.length === 5 && reason.startsWith('40')) throw error
      if (reason === '42P01' || reason === '3F000') {
        throw new HubError(
          'MIGRATION_MISSING',
          `The database of this client has no outbox of Entitycast in the schema ${this.#settings.schema}, for the prefix ${this.#settings.prefix}`,
        )
      }
      throw unavailable(`answered ${reason} to the client of a transaction`, reason)
    }
  }
}

/** What a project is called in notifications: of one length, whatever its id is. */
function keyOf(projectId: string): string {
  return createHash('sha256').update(projectId).digest('base64url').slice(0, 16)
}

function randomName(): string {
  return randomBytes(12).toString('base64url')
}
