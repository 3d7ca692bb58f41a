import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { User } from '../shared/api.js'
import { toUser } from './accounts.js'
import type { Database } from './database.js'

const COOKIE = 'validation_session'

/** Who a request comes from. */
export interface Session {
  id: string
  tenantId: string
  user: User
  /** Milliseconds since 1970. */
  expiresAt: number
}

/**
 * Sessions are rows, so that signing out ends one at once. The cookie names the row and is signed:
 * a cookie that was made up is refused without asking the database.
 */
export class Sessions {
  readonly #key: Buffer

  constructor(
    private readonly db: Database,
    private readonly options: { dataDir: string; ttlMs: number },
  ) {
    this.#key = keptKey(join(options.dataDir, 'session.key'))
  }

  /** Opens a session; the result is the value of `Set-Cookie`. `secure`: the request came over HTTPS. */
  async open(userId: string, secure: boolean): Promise<string> {
    const id = randomBytes(24).toString('base64url')
    const now = Date.now()
    await this.db.batch(
      [
        { sql: 'DELETE FROM sessions WHERE expires_at <= ?', args: [now] },
        {
          sql: 'INSERT INTO sessions (id, user_id, expires_at) VALUES (?, ?, ?)',
          args: [id, userId, now + this.options.ttlMs],
        },
      ],
      'write',
    )
    const maxAge = Math.floor(this.options.ttlMs / 1000)
    return `${COOKIE}=${id}.${this.#sign(id)}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
  }

  /** The session that a `Cookie` header names; `null` where there is none, or it has ended. */
  async read(cookieHeader: string | undefined): Promise<Session | null> {
    const id = this.#idOf(cookieHeader)
    if (!id) return null
    const { rows } = await this.db.execute({
      sql: `SELECT users.*, sessions.expires_at FROM sessions JOIN users ON users.id = sessions.user_id
            WHERE sessions.id = ? AND sessions.expires_at > ?`,
      args: [id, Date.now()],
    })
    const row = rows[0]
    return row ? { id, tenantId: String(row.tenant_id), user: toUser(row), expiresAt: Number(row.expires_at) } : null
  }

  /** Ends a session; the result is the value of `Set-Cookie` that removes the cookie. */
  async close(session: Session): Promise<string> {
    await this.db.execute({ sql: 'DELETE FROM sessions WHERE id = ?', args: [session.id] })
    return `${COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`
  }

  #idOf(cookieHeader: string | undefined): string | null {
    for (const pair of cookieHeader?.split(';') ?? []) {
      const [name, value = ''] = pair.trim().split('=', 2)
      if (name !== COOKIE) continue
      const [id = '', signature = ''] = value.split('.', 2)
      const expected = Buffer.from(this.#sign(id))
      const given = Buffer.from(signature)
      if (expected.length === given.length && timingSafeEqual(expected, given)) return id
    }
    return null
  }

  #sign(id: string): string {
    return createHmac('sha256', this.#key).update(id).digest('base64url')
  }
}

/** The key outlives the process: after a restart everybody is still signed in, and at every instance. */
function keptKey(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch {
    // Whole or not at all, and once: another instance may start at the same moment.
    const draft = `${file}.${process.pid}`
    writeFileSync(draft, randomBytes(32), { mode: 0o600 })
    try {
      linkSync(draft, file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      unlinkSync(draft)
    }
    return readFileSync(file)
  }
}
