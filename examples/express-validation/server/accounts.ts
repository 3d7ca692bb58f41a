import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Role, Tenant, TenantWithUsers, User } from '../shared/api.js'
import type { Database } from './database.js'

const derive = promisify(scrypt) as (password: string, salt: Buffer, length: number) => Promise<Buffer>

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  return `${salt.toString('base64url')}.${(await derive(password, salt, 32)).toString('base64url')}`
}

async function passwordFits(password: string, hash: string): Promise<boolean> {
  const [salt = '', key = ''] = hash.split('.')
  const expected = Buffer.from(key, 'base64url')
  const given = await derive(password, Buffer.from(salt, 'base64url'), 32)
  return expected.length === given.length && timingSafeEqual(expected, given)
}

/** Hashed for a user who does not exist, so that the time of the answer does not tell who does. */
const nobody = hashPassword(randomBytes(16).toString('hex'))

/** Who may sign in, and to which tenant each belongs. */
export class Accounts {
  constructor(private readonly db: Database) {}

  /** The user whose password this is; `null` for a wrong password and for an unknown user alike. */
  async signIn(userId: string, password: string): Promise<User | null> {
    const { rows } = await this.db.execute({ sql: 'SELECT * FROM users WHERE id = ?', args: [userId] })
    const row = rows[0]
    const fits = await passwordFits(password, row ? String(row.password_hash) : await nobody)
    return row && fits ? toUser(row) : null
  }

  async tenants(): Promise<TenantWithUsers[]> {
    const tenants = await this.db.execute('SELECT * FROM tenants ORDER BY name')
    return Promise.all(tenants.rows.map(async (row) => ({ ...toTenant(row), users: await this.team(String(row.id)) })))
  }

  async tenant(tenantId: string): Promise<Tenant> {
    const { rows } = await this.db.execute({ sql: 'SELECT * FROM tenants WHERE id = ?', args: [tenantId] })
    return toTenant(rows[0]!)
  }

  async team(tenantId: string): Promise<User[]> {
    const { rows } = await this.db.execute({
      sql: 'SELECT * FROM users WHERE tenant_id = ? ORDER BY name',
      args: [tenantId],
    })
    return rows.map(toUser)
  }
}

type Row = Record<string, unknown>

const toTenant = (row: Row): Tenant => ({ id: String(row.id), name: String(row.name), tagline: String(row.tagline) })

export const toUser = (row: Row): User => ({ id: String(row.id), name: String(row.name), role: row.role as Role })
