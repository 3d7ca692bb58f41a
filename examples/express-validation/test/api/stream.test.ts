import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Submission } from '../../shared/events'
import { type RunningApp, startApp, Visitor } from './running-app'
import { StreamReader } from './stream-reader'

const FILE = 'harbor-bank-1042'
const BOTH = '?channels=validation,notifications'

let app: RunningApp
let dana: Visitor
let kim: Visitor
beforeEach(async () => {
  app = await startApp()
  dana = await Visitor.signedIn(app.url, 'dana')
  kim = await Visitor.signedIn(app.url, 'kim')
})
afterEach(() => app?.close())

async function listening(visitor: Visitor, query = BOTH): Promise<StreamReader> {
  const reader = await StreamReader.open(visitor, query)
  onTestFinished(() => reader.close())
  return reader
}

const approve = (visitor: Visitor, id: string, comment = '') =>
  visitor.ask<Submission>('POST', `/api/submissions/${id}/decision`, { decision: 'approved', comment, version: 1 })

describe('a decision on the stream', () => {
  it('[stream] is an update with a version on the channel validation, and a notice on notifications', async () => {
    const reader = await listening(dana)
    await approve(dana, FILE, 'Fine.')
    const update = await reader.next('entity.updated')
    expect(update.data).toMatchObject({
      entity: 'submission',
      id: FILE,
      channel: 'validation',
      userId: 'dana',
      version: 2,
      data: { status: 'approved', decidedBy: 'dana', comment: 'Fine.' },
    })
    const notice = await reader.next('submission:approved')
    expect(notice.data).toMatchObject({
      channel: 'notifications',
      data: { submissionId: FILE, title: 'KYC file 1042', by: 'dana' },
    })
  })

  it('[stream] is told to the submitter with the comment, and to nobody else', async () => {
    const lee = await Visitor.signedIn(app.url, 'lee')
    const [submitter, colleague] = await Promise.all([listening(kim), listening(lee)])
    await approve(dana, FILE, 'Welcome aboard.')
    expect((await submitter.next('submission:answered')).data).toMatchObject({
      data: { status: 'approved', comment: 'Welcome aboard.' },
    })
    // The fence: an answer to Lee himself comes after the one that he must not see.
    await approve(dana, 'harbor-bank-1043')
    await colleague.next('submission:answered')
    expect(
      colleague.frames.filter(({ event }) => event === 'submission:answered').map(({ data }) => data.data.submissionId),
    ).toEqual(['harbor-bank-1043'])
  })

  it('[stream] is not seen by the other tenant', async () => {
    const noor = await Visitor.signedIn(app.url, 'noor')
    const reader = await listening(noor)
    await approve(dana, FILE)
    await approve(noor, 'meadow-clinics-206')
    await reader.next('submission:approved', ({ data }) => data.submissionId === 'meadow-clinics-206')
    expect(JSON.stringify(reader.frames)).not.toContain('harbor-bank')
    expect(JSON.stringify(reader.frames)).not.toContain('KYC')
  })

  it('[stream] that was made between loading and listening is replayed from the cursor of the bootstrap', async () => {
    const { cursor, submissions } = await kim.bootstrap()
    expect(submissions.find(({ id }) => id === FILE)?.status).toBe('pending')
    await approve(dana, FILE)
    const reader = await listening(kim, `${BOTH}&lastEventId=${cursor}`)
    expect(reader.frames[0]).toMatchObject({
      event: 'connected',
      data: { resume: 'replayed', projectId: 'harbor-bank' },
    })
    await reader.next('entity.updated', ({ id }) => id === FILE)
  })
})

describe('the channels of the stream', () => {
  it('[stream] one channel has nothing of the other', async () => {
    const reader = await listening(dana, '?channels=notifications')
    await approve(dana, FILE)
    await approve(dana, 'harbor-bank-1043')
    await reader.next('submission:approved', ({ data }) => data.submissionId === 'harbor-bank-1043')
    expect(reader.types()).toEqual(['connected', 'submission:approved', 'submission:approved'])
  })

  it('[stream] a channel that nobody granted is 403', async () => {
    expect(await dana.ask('GET', '/api/sse?channels=validation,salaries')).toMatchObject({ status: 403 })
  })
})

describe('what else is told', () => {
  it('[stream] a new submission is an entity.created with the whole row', async () => {
    const reader = await listening(kim)
    const dueAt = new Date(Date.now() + 3_600_000).toISOString()
    const { status, body } = await dana.ask<Submission>('POST', '/api/submissions', {
      kind: 'KYC file',
      participant: ' Ada Example ',
      dueAt,
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      title: 'KYC file 1048',
      participant: 'Ada Example',
      status: 'pending',
      submittedBy: 'dana',
      dueAt,
      version: 1,
    })
    expect((await reader.next('entity.created')).data).toMatchObject({ id: 'harbor-bank-1048', version: 1, data: body })
  })

  it.each([
    { kind: 'Parking permit', participant: 'Ada', dueAt: '2030-01-01T00:00:00Z' },
    { kind: 'KYC file', participant: ' ', dueAt: '2030-01-01T00:00:00Z' },
    { kind: 'KYC file', participant: 'Ada', dueAt: 'tomorrow' },
  ])('[stream] the submission %j is refused with 400', async (input) => {
    expect(await dana.ask('POST', '/api/submissions', input)).toMatchObject({ status: 400 })
  })

  it('[stream] the reminder job tells a tenant how many of its own participants wait', async () => {
    const [marco, noor] = [await Visitor.signedIn(app.url, 'marco'), await Visitor.signedIn(app.url, 'noor')]
    const [harbor, meadow] = await Promise.all([listening(dana), listening(noor)])
    expect(await marco.ask('POST', '/api/jobs/reminder')).toMatchObject({ status: 200, body: { overdue: 3 } })
    expect((await harbor.next('participants:overdue')).data.data).toEqual({
      count: 3,
      participants: ['Amara Nwosu', 'Ingrid Solberg', 'Northgate Shipping SA'],
    })
    await approve(noor, 'meadow-clinics-206')
    await meadow.next('submission:approved')
    expect(meadow.types()).not.toContain('participants:overdue')
  })

  it('[stream] the reminder job runs by itself, for every tenant', async () => {
    const reminding = await startApp({ REMINDER_INTERVAL_MS: '50' })
    onTestFinished(() => reminding.close())
    const readers = await Promise.all(
      ['dana', 'noor'].map(async (user) => listening(await Visitor.signedIn(reminding.url, user))),
    )
    const counts = await Promise.all(
      readers.map(async (reader) => (await reader.next('participants:overdue')).data.data.count),
    )
    expect(counts).toEqual([3, 2])
  })

  it('[stream] a lock is told when it is taken, when it is released, and when its page has vanished', async () => {
    const brief = await startApp({ LOCK_TTL_MS: '400' })
    onTestFinished(() => brief.close())
    const [reviewer, colleague] = [await Visitor.signedIn(brief.url, 'dana'), await Visitor.signedIn(brief.url, 'kim')]
    const reader = await listening(colleague)
    const lock = (method: string, id: string) => reviewer.ask(method, `/api/submissions/${id}/lock`, { holder: 'tab' })
    await lock('PUT', FILE)
    await reader.next('lock:acquired', ({ data }) => data.submissionId === FILE && data.userId === 'dana')
    await lock('DELETE', FILE)
    await reader.next('lock:released', ({ data }) => data.submissionId === FILE)
    // Never renewed, never released.
    await lock('PUT', 'harbor-bank-1043')
    await reader.next('lock:released', ({ data }) => data.submissionId === 'harbor-bank-1043')
  })
})

describe('who is connected', () => {
  it('[admin] an admin sees the tenant’s own connections, and can end one; its client resumes', async () => {
    const [marco, noor] = [await Visitor.signedIn(app.url, 'marco'), await Visitor.signedIn(app.url, 'noor')]
    const reader = await listening(dana)
    await listening(noor)
    const list = await marco.ask<{ connectionId: string; userId: string; channels: string[] }[]>(
      'GET',
      '/api/connections',
    )
    expect(list.body).toMatchObject([{ userId: 'dana', channels: ['validation', 'notifications'] }])
    expect(await marco.ask('GET', '/events/stats')).toMatchObject({ body: { connections: 2 } })
    const path = `/api/connections/${list.body[0]!.connectionId}`
    const ines = await Visitor.signedIn(app.url, 'ines')
    // Of another tenant: it ends nothing, and is not told whether there was something.
    expect(await ines.ask('DELETE', path)).toMatchObject({ status: 204 })
    expect((await marco.ask<unknown[]>('GET', '/api/connections')).body).toHaveLength(1)
    expect(await marco.ask('DELETE', path)).toMatchObject({ status: 204 })
    expect((await reader.next('closing')).data).toEqual({ reason: 'rotated' })
  })

  it('[session] signing out ends the streams of that user', async () => {
    const reader = await listening(dana)
    await dana.ask('POST', '/api/logout')
    await reader.next('closing')
  })
})
