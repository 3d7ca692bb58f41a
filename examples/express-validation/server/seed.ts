import type { InStatement } from '@libsql/client'
import type { Role } from '../shared/api.js'
import type { Status } from '../shared/events.js'
import { hashPassword } from './accounts.js'
import type { Database } from './database.js'

/** Everybody's password in the demonstration. */
export const DEMO_PASSWORD = 'demo'

/** Kind, participant, submitter, hours since it came in, hours until it is due, facts, decision. */
type SeedSubmission = [
  kind: string,
  participant: string,
  by: string,
  cameIn: number,
  dueIn: number,
  facts: Record<string, string>,
  decision?: { status: Exclude<Status, 'pending'>; by: string; hoursAgo: number; comment?: string },
]

interface SeedTenant {
  id: string
  name: string
  tagline: string
  users: [id: string, name: string, role: Role][]
  firstNumber: number
  submissions: SeedSubmission[]
}

const TENANTS: SeedTenant[] = [
  {
    id: 'harbor-bank',
    name: 'Harbor Bank',
    tagline: 'Customer due diligence',
    users: [
      ['dana', 'Dana Whitfield', 'reviewer'],
      ['kim', 'Kim Osei', 'reviewer'],
      ['lee', 'Lee Tran', 'reviewer'],
      ['marco', 'Marco Bell', 'admin'],
    ],
    firstNumber: 1036,
    submissions: [
      [
        'KYC file',
        'Oriel Fashion Ltd',
        'lee',
        190,
        -100,
        { Country: 'Portugal', Risk: 'Low', Document: 'Company register extract' },
        { status: 'approved', by: 'dana', hoursAgo: 96 },
      ],
      [
        'Source of funds',
        'Theo Marchetti',
        'kim',
        171,
        -70,
        { Country: 'Italy', Risk: 'Medium', Document: 'Sale of property, 2025' },
        { status: 'approved', by: 'marco', hoursAgo: 72, comment: 'Deed and bank statement agree.' },
      ],
      ['KYC file', 'Ingrid Solberg', 'kim', 122, -26, { Country: 'Norway', Risk: 'Low', Document: 'Passport' }],
      [
        'Beneficial owner',
        'Northgate Shipping SA',
        'lee',
        118,
        -21,
        { Country: 'Greece', Risk: 'High', Document: 'Shareholder list' },
      ],
      [
        'KYC file',
        'Ruben Castellanos',
        'dana',
        99,
        -30,
        { Country: 'Spain', Risk: 'Low', Document: 'National ID' },
        {
          status: 'rejected',
          by: 'kim',
          hoursAgo: 31,
          comment: 'The scan is cut off: the expiry date cannot be read.',
        },
      ],
      [
        'Source of funds',
        'Amara Nwosu',
        'lee',
        96,
        -4,
        { Country: 'Ireland', Risk: 'Medium', Document: 'Inheritance, probate letter' },
      ],
      ['KYC file', 'Helena Brandt', 'kim', 52, 8, { Country: 'Germany', Risk: 'Low', Document: 'Passport' }],
      ['KYC file', 'Pavel Dvorak', 'lee', 47, 12, { Country: 'Czechia', Risk: 'Low', Document: 'National ID' }],
      [
        'Beneficial owner',
        'Lumen Data GmbH',
        'dana',
        30,
        30,
        { Country: 'Austria', Risk: 'Medium', Document: 'Trust deed' },
      ],
      ['KYC file', 'Sofia Lindqvist', 'kim', 22, 44, { Country: 'Sweden', Risk: 'Low', Document: 'Passport' }],
      [
        'Source of funds',
        'Bastien Laurent',
        'marco',
        9,
        61,
        { Country: 'France', Risk: 'High', Document: 'Company dividend, 2026' },
      ],
      ['KYC file', 'Maeve Gallagher', 'lee', 3, 68, { Country: 'Ireland', Risk: 'Low', Document: 'Passport' }],
    ],
  },
  {
    id: 'meadow-clinics',
    name: 'Meadow Clinics',
    tagline: 'Trial enrolment',
    users: [
      ['ines', 'Ines Albrecht', 'admin'],
      ['noor', 'Noor Haddad', 'reviewer'],
      ['tom', 'Tom Eriksen', 'reviewer'],
    ],
    firstNumber: 201,
    submissions: [
      [
        'Consent form',
        'Participant M-014',
        'tom',
        140,
        -60,
        { Study: 'ASTER-2', Site: 'Meadow North', Language: 'English' },
        { status: 'approved', by: 'noor', hoursAgo: 80 },
      ],
      [
        'Eligibility check',
        'Participant M-015',
        'noor',
        101,
        -18,
        { Study: 'ASTER-2', Site: 'Meadow North', Arm: 'Control' },
      ],
      [
        'Consent form',
        'Participant M-016',
        'noor',
        93,
        -6,
        { Study: 'ASTER-2', Site: 'Riverside', Language: 'Arabic' },
      ],
      [
        'Lab waiver',
        'Participant M-011',
        'tom',
        70,
        -20,
        { Study: 'LUPIN', Site: 'Riverside', Reason: 'Sample lost in transit' },
        { status: 'rejected', by: 'ines', hoursAgo: 22, comment: 'A second sample can still be taken this week.' },
      ],
      [
        'Eligibility check',
        'Participant M-017',
        'tom',
        26,
        20,
        { Study: 'LUPIN', Site: 'Meadow South', Arm: 'Treatment' },
      ],
      [
        'Consent form',
        'Participant M-018',
        'tom',
        8,
        52,
        { Study: 'LUPIN', Site: 'Meadow South', Language: 'Norwegian' },
      ],
    ],
  },
]

/** Fills an empty database with two tenants; leaves any other as it is. */
export async function seed(db: Database, now = Date.now()): Promise<void> {
  const { rows } = await db.execute('SELECT 1 FROM tenants LIMIT 1')
  if (rows.length > 0) return
  const at = (hours: number) => new Date(now + hours * 3_600_000).toISOString()
  const statements: InStatement[] = []
  for (const tenant of TENANTS) {
    statements.push({ sql: 'INSERT INTO tenants VALUES (?, ?, ?)', args: [tenant.id, tenant.name, tenant.tagline] })
    for (const [id, name, role] of tenant.users) {
      statements.push({
        sql: 'INSERT INTO users VALUES (?, ?, ?, ?, ?)',
        args: [id, tenant.id, name, role, await hashPassword(DEMO_PASSWORD)],
      })
    }
    tenant.submissions.forEach(([kind, participant, by, cameIn, dueIn, facts, decision], index) => {
      const number = tenant.firstNumber + index
      const id = `${tenant.id}-${number}`
      const list = Object.entries(facts).map(([label, value]) => ({ label, value }))
      statements.push(
        {
          sql: `INSERT INTO submissions (id, tenant_id, number, kind, participant, facts, submitted_by, submitted_at, due_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          args: [id, tenant.id, number, kind, participant, JSON.stringify(list), by, at(-cameIn), at(dueIn)],
        },
        { sql: `INSERT INTO history VALUES (?, 1, 'submitted', ?, ?, NULL)`, args: [id, by, at(-cameIn)] },
      )
      if (!decision) return
      const decided = [decision.status, decision.by, at(-decision.hoursAgo), decision.comment ?? null]
      statements.push(
        {
          sql: 'UPDATE submissions SET status = ?, decided_by = ?, decided_at = ?, comment = ?, version = 2 WHERE id = ?',
          args: [...decided, id],
        },
        { sql: 'INSERT INTO history VALUES (?, 2, ?, ?, ?, ?)', args: [id, ...decided] },
      )
    })
  }
  try {
    await db.batch(statements, 'write')
  } catch (error) {
    // Another instance that started at the same moment may have been first; then nothing of this was done.
    if ((await db.execute('SELECT 1 FROM tenants LIMIT 1')).rows.length === 0) throw error
  }
}
