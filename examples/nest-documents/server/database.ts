import { mkdirSync } from 'node:fs'
import { join, sep } from 'node:path'
import { type Client, createClient, type InArgs, type InStatement, type ResultSet } from '@libsql/client'
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common'
import { CONFIG, type Config } from './config.js'

const SCHEMA = [
  // `version` counts the changes of a project; each change gives its number to the rows that it touches.
  `CREATE TABLE IF NOT EXISTS projects (
     id TEXT PRIMARY KEY,
     version INTEGER NOT NULL DEFAULT 0,
     has_samples INTEGER NOT NULL DEFAULT 0
   )`,
  `CREATE TABLE IF NOT EXISTS documents (
     id TEXT PRIMARY KEY,
     project_id TEXT NOT NULL REFERENCES projects(id),
     title TEXT NOT NULL,
     bytes INTEGER NOT NULL,
     chunks INTEGER NOT NULL,
     embedded_chunks INTEGER NOT NULL DEFAULT 0,
     status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'queued', 'embedding', 'embedded')),
     version INTEGER NOT NULL,
     created_at TEXT NOT NULL,
     updated_at TEXT NOT NULL
   )`,
  `CREATE INDEX IF NOT EXISTS documents_by_project ON documents (project_id, created_at)`,
  `CREATE TABLE IF NOT EXISTS chunks (
     id TEXT PRIMARY KEY,
     document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
     ordinal INTEGER NOT NULL,
     text TEXT NOT NULL,
     embedding BLOB,
     status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'embedded')),
     version INTEGER NOT NULL,
     UNIQUE (document_id, ordinal)
   )`,
  `CREATE TABLE IF NOT EXISTS activity (
     id TEXT PRIMARY KEY,
     project_id TEXT NOT NULL REFERENCES projects(id),
     user_name TEXT NOT NULL,
     text TEXT NOT NULL,
     at TEXT NOT NULL
   )`,
  // Who embeds which document, where several instances share the database.
  `CREATE TABLE IF NOT EXISTS leases (
     document_id TEXT PRIMARY KEY,
     worker TEXT NOT NULL,
     until INTEGER NOT NULL
   )`,
  // Changes that are stored, and not known to be in the log.
  `CREATE TABLE IF NOT EXISTS unannounced (
     ticket TEXT PRIMARY KEY,
     project_id TEXT NOT NULL REFERENCES projects(id),
     stored_at INTEGER NOT NULL
   )`,
  `CREATE INDEX IF NOT EXISTS activity_by_project ON activity (project_id, at)`,
]

/** How long a statement waits for another instance that is writing. */
const BUSY_TIMEOUT_MS = 5_000

/** SQLite in one file of DATA_DIR. What is committed here survives `kill -9`; everything else can be derived from it. */
@Injectable()
export class Database implements OnApplicationShutdown {
  readonly #client: Client

  constructor(@Inject(CONFIG) config: Config) {
    mkdirSync(config.dataDir, { recursive: true })
    const path = join(config.dataDir, 'documents.db').split(sep).map(encodeURIComponent).join('/')
    // One connection: what the client writes is then in the order of the calls.
    this.#client = createClient({ url: `file:${path}`, concurrency: 1, timeout: BUSY_TIMEOUT_MS })
  }

  async migrate(): Promise<void> {
    await this.#client.execute('PRAGMA journal_mode = WAL')
    await this.#client.batch(SCHEMA, 'write')
  }

  /** One statement. */
  execute(sql: string, args: InArgs = []): Promise<ResultSet> {
    return this.#client.execute({ sql, args })
  }

  /** Several reads of one moment. */
  snapshot(queries: InStatement[]): Promise<ResultSet[]> {
    return this.#client.batch(queries, 'read')
  }

  /** All of the statements or none. */
  transaction(statements: InStatement[]): Promise<ResultSet[]> {
    return this.#client.batch(statements, 'write')
  }

  onApplicationShutdown(): void {
    this.#client.close()
  }
}
