import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Client, createClient } from '@libsql/client'

export type Database = Client

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    tagline TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('reviewer', 'admin')),
    password_hash TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    expires_at INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS submissions (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    participant TEXT NOT NULL,
    facts TEXT NOT NULL,
    submitted_by TEXT NOT NULL REFERENCES users (id),
    submitted_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected')),
    decided_by TEXT REFERENCES users (id),
    decided_at TEXT,
    comment TEXT,
    version INTEGER NOT NULL DEFAULT 1,
    UNIQUE (tenant_id, number)
  );
  CREATE TABLE IF NOT EXISTS history (
    submission_id TEXT NOT NULL REFERENCES submissions (id),
    version INTEGER NOT NULL,
    action TEXT NOT NULL,
    by_user TEXT NOT NULL REFERENCES users (id),
    at TEXT NOT NULL,
    comment TEXT,
    PRIMARY KEY (submission_id, version)
  );
  -- One row for each open drawer of the one user who reviews a submission.
  CREATE TABLE IF NOT EXISTS review_locks (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    submission_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, submission_id, holder)
  );
  -- Changes that are stored, and not known to be in the log.
  CREATE TABLE IF NOT EXISTS unannounced (
    ticket TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    stored_at INTEGER NOT NULL
  );
  -- When a job last ran, so that of several instances one runs it.
  CREATE TABLE IF NOT EXISTS jobs (
    name TEXT NOT NULL,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    ran_at INTEGER NOT NULL,
    PRIMARY KEY (name, tenant_id)
  );
`

/** How long a statement waits for another instance that is writing. */
const BUSY_TIMEOUT_MS = 5_000

/** Opens the database in `dataDir`, making both where they are not there. */
export async function openDatabase(dataDir: string): Promise<Database> {
  mkdirSync(dataDir, { recursive: true })
  const db = createClient({
    url: pathToFileURL(resolve(join(dataDir, 'validation.db'))).href,
    timeout: BUSY_TIMEOUT_MS,
  })
  await db.execute('PRAGMA journal_mode = WAL')
  await db.execute('PRAGMA foreign_keys = ON')
  await db.executeMultiple(SCHEMA)
  return db
}
