import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { HistoryEntry } from '../../shared/api'
import type { Submission } from '../../shared/events'
import { type RunningApp, startApp, Visitor } from './running-app'

const FILE = 'harbor-bank-1042'

let app: RunningApp
let dana: Visitor
let kim: Visitor
beforeEach(async () => {
  app = await startApp()
  dana = await Visitor.signedIn(app.url, 'dana')
  kim = await Visitor.signedIn(app.url, 'kim')
})
afterEach(() => app?.close())

const decide = (visitor: Visitor, body: object, id = FILE) =>
  visitor.ask<Submission>('POST', `/api/submissions/${id}/decision`, body)

describe('a decision', () => {
  it('[decision] is stored, with who, when and the next version', async () => {
    const { status, body } = await decide(dana, { decision: 'approved', comment: ' Fine. ', version: 1 })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      id: FILE,
      title: 'KYC file 1042',
      status: 'approved',
      decidedBy: 'dana',
      comment: 'Fine.',
      version: 2,
    })
    const { submissions } = await kim.bootstrap()
    expect(submissions.find(({ id }) => id === FILE)).toEqual(body)
    const history = await kim.ask<HistoryEntry[]>('GET', `/api/submissions/${FILE}/history`)
    expect(history.body.map(({ action, by, comment }) => [action, by, comment])).toEqual([
      ['submitted', 'kim', null],
      ['approved', 'dana', 'Fine.'],
    ])
  })

  it('[decision] on one’s own submission is 403', async () => {
    expect(await decide(kim, { decision: 'approved', version: 1 })).toMatchObject({
      status: 403,
      body: { error: { code: 'OWN_SUBMISSION' } },
    })
  })

  it('[decision] to reject needs a comment that is not blank', async () => {
    for (const comment of [undefined, '', '  \n']) {
      expect(await decide(dana, { decision: 'rejected', comment, version: 1 })).toMatchObject({
        status: 400,
        body: { error: { code: 'COMMENT_REQUIRED' } },
      })
    }
    expect(await decide(dana, { decision: 'rejected', comment: 'Cut off.', version: 1 })).toMatchObject({ status: 200 })
  })

  it('[decision] of two who decide at once, one is stored and one is told', async () => {
    const marco = await Visitor.signedIn(app.url, 'marco')
    const answers = await Promise.all([
      decide(dana, { decision: 'approved', version: 1 }),
      decide(marco, { decision: 'rejected', comment: 'No.', version: 1 }),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    const history = await kim.ask<HistoryEntry[]>('GET', `/api/submissions/${FILE}/history`)
    expect(history.body).toHaveLength(2)
  })

  it('[decision] made on an old version is 409', async () => {
    await decide(dana, { decision: 'approved', version: 1 })
    expect(await decide(dana, { decision: 'approved', version: 1 })).toMatchObject({
      status: 409,
      body: { error: { code: 'CHANGED' } },
    })
    expect(await decide(dana, { decision: 'approved', version: 2 })).toMatchObject({ status: 409 })
  })

  it('[decision] on another tenant’s submission is 404, as on one that does not exist', async () => {
    const other = await decide(dana, { decision: 'approved', version: 1 }, 'meadow-clinics-202')
    const none = await decide(dana, { decision: 'approved', version: 1 }, 'harbor-bank-9')
    expect(other).toMatchObject({ status: 404, body: { error: { code: 'NOT_FOUND' } } })
    expect(none).toEqual(other)
  })

  it.each([{ decision: 'pending', version: 1 }, { decision: 'approved' }, { decision: 'approved', version: '1' }, {}])(
    '[decision] with the body %j is 400',
    async (body) => {
      expect(await decide(dana, body)).toMatchObject({ status: 400, body: { error: { code: 'INVALID_BODY' } } })
    },
  )

  it('[decision] can be taken back by an admin, and then be made again', async () => {
    await decide(dana, { decision: 'approved', version: 1 })
    const marco = await Visitor.signedIn(app.url, 'marco')
    expect(await marco.ask('POST', `/api/submissions/${FILE}/reopen`, { version: 2 })).toMatchObject({
      status: 200,
      body: { status: 'pending', decidedBy: null, decidedAt: null, comment: null, version: 3 },
    })
    expect(await decide(dana, { decision: 'approved', version: 3 })).toMatchObject({
      status: 200,
      body: { version: 4 },
    })
  })
})

describe('a lock', () => {
  const lock = (visitor: Visitor, method: string, holder: string) =>
    visitor.ask(method, `/api/submissions/${FILE}/lock`, { holder })
  const locks = async () => (await kim.bootstrap()).locks

  it('[lock] keeps others from taking it and from deciding, and ends when its holder lets go', async () => {
    const marco = await Visitor.signedIn(app.url, 'marco')
    expect(await lock(dana, 'PUT', 'a')).toMatchObject({ status: 204 })
    expect(await lock(marco, 'PUT', 'b')).toMatchObject({ status: 423, body: { error: { code: 'LOCKED' } } })
    expect(await decide(marco, { decision: 'approved', version: 1 })).toMatchObject({ status: 423 })
    await lock(marco, 'DELETE', 'a')
    expect(await locks()).toEqual([{ submissionId: FILE, userId: 'dana' }])
    await lock(dana, 'DELETE', 'a')
    expect(await locks()).toEqual([])
    expect(await lock(marco, 'PUT', 'b')).toMatchObject({ status: 204 })
  })

  it('[lock] of two tabs of one user is kept until both are closed', async () => {
    await lock(dana, 'PUT', 'a')
    await lock(dana, 'PUT', 'b')
    await lock(dana, 'DELETE', 'a')
    expect(await locks()).toHaveLength(1)
    await lock(dana, 'DELETE', 'b')
    expect(await locks()).toEqual([])
  })

  it('[lock] ends with the decision, and a decided submission cannot be locked', async () => {
    await lock(dana, 'PUT', 'a')
    await decide(dana, { decision: 'approved', version: 1 })
    expect(await locks()).toEqual([])
    expect(await lock(dana, 'PUT', 'a')).toMatchObject({ status: 409 })
  })
})
