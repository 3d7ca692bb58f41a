import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningApp, startApp, Visitor } from './running-app'

let app: RunningApp
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app?.close())

describe('signing in', () => {
  it('[session] a wrong password and an unknown user get the same 401, and no cookie', async () => {
    const visitor = new Visitor(app.url)
    const wrong = await visitor.ask('POST', '/api/login', { userId: 'dana', password: 'Demo' })
    const unknown = await visitor.ask('POST', '/api/login', { userId: 'nobody', password: 'demo' })
    expect(wrong).toMatchObject({ status: 401, setCookie: null, body: { error: { code: 'WRONG_CREDENTIALS' } } })
    expect(unknown).toEqual(wrong)
  })

  it('[session] a body that is no credentials is refused with 400', async () => {
    const visitor = new Visitor(app.url)
    expect(await visitor.ask('POST', '/api/login', { userId: { $ne: '' }, password: 'demo' })).toMatchObject({
      status: 400,
      body: { error: { code: 'INVALID_BODY' } },
    })
  })

  it('[session] the cookie is HttpOnly and SameSite=Lax, and says who came', async () => {
    const visitor = new Visitor(app.url)
    const { status, setCookie, body } = await visitor.ask('POST', '/api/login', { userId: 'dana', password: 'demo' })
    expect(status).toBe(200)
    expect(setCookie).toMatch(/; HttpOnly/)
    expect(setCookie).toMatch(/; SameSite=Lax/)
    expect(body).toEqual({ id: 'dana', name: 'Dana Whitfield', role: 'reviewer' })
  })

  it('[session] without a cookie, or with one whose signature does not fit, everything but signing in is 401', async () => {
    const stranger = new Visitor(app.url)
    const forger = await Visitor.signedIn(app.url, 'dana')
    forger.cookie = `${forger.cookie.slice(0, -2)}xx`
    for (const visitor of [stranger, forger]) {
      for (const path of ['/api/bootstrap', '/api/connections', '/events/stats', '/api/sse']) {
        expect(await visitor.ask('GET', path), path).toMatchObject({ status: 401, body: { error: {} } })
      }
    }
  })

  it('[session] after signing out the same cookie is worth nothing', async () => {
    const dana = await Visitor.signedIn(app.url, 'dana')
    expect(await dana.ask('GET', '/api/bootstrap')).toMatchObject({ status: 200 })
    expect(await dana.ask('POST', '/api/logout')).toMatchObject({
      status: 204,
      setCookie: expect.stringContaining('Max-Age=0'),
    })
    expect(await dana.ask('GET', '/api/bootstrap')).toMatchObject({ status: 401 })
    expect(await dana.ask('GET', '/api/sse')).toMatchObject({ status: 401 })
  })

  it('[session] signing out ends what was being reviewed', async () => {
    const [dana, kim] = [await Visitor.signedIn(app.url, 'dana'), await Visitor.signedIn(app.url, 'kim')]
    await dana.ask('PUT', '/api/submissions/harbor-bank-1042/lock', { holder: 'tab' })
    expect((await kim.bootstrap()).locks).toHaveLength(1)
    await dana.ask('POST', '/api/logout')
    expect((await kim.bootstrap()).locks).toEqual([])
  })

  it('[session] a session ends after its time', async () => {
    const short = await startApp({ SESSION_TTL_MS: '0' })
    const dana = await Visitor.signedIn(short.url, 'dana')
    expect(await dana.ask('GET', '/api/bootstrap')).toMatchObject({ status: 401 })
    await short.close()
  })

  it('[session] each tenant sees its own submissions and its own team only', async () => {
    const dana = await (await Visitor.signedIn(app.url, 'dana')).bootstrap()
    const noor = await (await Visitor.signedIn(app.url, 'noor')).bootstrap()
    expect(dana.submissions.map(({ id }) => id.replace(/-\d+$/, ''))).toEqual(Array(12).fill('harbor-bank'))
    expect(noor.submissions.map(({ id }) => id.replace(/-\d+$/, ''))).toEqual(Array(6).fill('meadow-clinics'))
    expect(dana.team.map(({ id }) => id)).toEqual(['dana', 'kim', 'lee', 'marco'])
    expect(noor.team.map(({ id }) => id)).toEqual(['ines', 'noor', 'tom'])
  })
})

describe('what only an admin may do', () => {
  it.each([
    ['GET', '/events/stats'],
    ['GET', '/api/connections'],
    ['POST', '/api/jobs/reminder'],
    ['DELETE', '/api/connections/conn_1'],
    ['POST', '/api/submissions/harbor-bank-1036/reopen'],
  ])('[admin] %s %s is 403 for a reviewer', async (method, path) => {
    const dana = await Visitor.signedIn(app.url, 'dana')
    expect(await dana.ask(method, path)).toMatchObject({ status: 403, body: { error: { code: 'FORBIDDEN' } } })
  })

  it('[admin] the stats are for an admin, and count the whole process', async () => {
    const marco = await Visitor.signedIn(app.url, 'marco')
    expect(await marco.ask('GET', '/events/stats')).toMatchObject({
      status: 200,
      body: { connections: 0, accepting: true },
    })
  })
})
