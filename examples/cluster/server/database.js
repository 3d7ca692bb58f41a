import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { createClient } from '@libsql/client'

/** @typedef {{ id: string, title: string, done: boolean, version: number }} Ticket */

/** The truth, and the one place that all workers write to. @param {string} file */
export async function openDatabase(file) {
  mkdirSync(dirname(file), { recursive: true })
  const client = createClient({ url: `file:${file}`, concurrency: 1 })
  // Workers begin at once, and each may be the first.
  await client.execute('PRAGMA busy_timeout = 10000')
  await client.execute('PRAGMA journal_mode = WAL')
  await client.execute(
    'CREATE TABLE IF NOT EXISTS tickets (n INTEGER PRIMARY KEY, id TEXT UNIQUE, title TEXT, done INTEGER, version INTEGER)',
  )

  /** @param {string} sql @param {string[]} args @returns {Promise<Ticket[]>} */
  async function rows(sql, ...args) {
    const found = await client.execute({ sql, args })
    return found.rows.map(({ id, title, done, version }) => ({
      id: String(id),
      title: String(title),
      done: Boolean(done),
      version: Number(version),
    }))
  }

  return {
    all: () => rows('SELECT * FROM tickets ORDER BY n'),
    /** @param {string} title */
    async add(title) {
      const sql = 'INSERT INTO tickets (id, title, done, version) VALUES (?, ?, 0, 1) RETURNING *'
      const [ticket] = await rows(sql, randomUUID(), title)
      return /** @type {Ticket} */ (ticket)
    },
    /** @param {string} id */
    async done(id) {
      const [ticket] = await rows('UPDATE tickets SET done = 1, version = version + 1 WHERE id = ? RETURNING *', id)
      return ticket
    },
    close: () => client.close(),
  }
}
