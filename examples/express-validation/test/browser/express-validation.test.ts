import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { BoardTab } from './board-tab'
import { NativeEventSource } from './native-event-source'
import { ServerProcess } from './server-process'

const CHROMIUM = '/usr/bin/chromium'
const isRequired = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'
const isMissing = !existsSync(CHROMIUM)
if (isMissing && !isRequired) console.warn(`express-validation: skipped, because there is no ${CHROMIUM}`)

const HARBOR = 'Harbor Bank'
const MEADOW = 'Meadow Clinics'
const soon = { timeout: 30_000, interval: 50 }

describe.skipIf(isMissing && !isRequired)('the validation board in Chromium', { timeout: 120_000 }, () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
    })
  })
  afterAll(() => browser?.close())

  async function serve(env?: Record<string, string>): Promise<ServerProcess> {
    const server = await ServerProcess.start(env)
    onTestFinished(() => server.dispose())
    return server
  }

  async function signIn(server: ServerProcess, tenant: string, user: string): Promise<BoardTab> {
    const tab = await BoardTab.signIn(browser, server.url, tenant, user)
    onTestFinished(async () => {
      await tab.close()
      expect(tab.pageErrors).toEqual([])
    })
    return tab
  }

  it('[board] Dana approves: Kim sees the row change and the toast without a reload, and the other tenant sees nothing', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    const noor = await signIn(server, MEADOW, 'Noor Haddad')
    const tom = await signIn(server, MEADOW, 'Tom Eriksen')
    for (const tab of [dana, kim, noor]) await tab.indicator('Live').waitFor()

    await dana.open('harbor-bank-1042')
    await dana.drawer.getByRole('textbox').fill('Passport checked.')
    await dana.drawer.getByRole('button', { name: 'Approve' }).click()

    await kim.row('harbor-bank-1042').getByText('Approved').waitFor()
    await kim.row('harbor-bank-1042').getByText('Dana Whitfield').waitFor()
    await kim.toasted('“KYC file 1042” approved by Dana')
    await kim.page.getByRole('button', { name: '3 Approved' }).waitFor()
    // Kim has submitted it, so Kim is told the comment.
    await kim.toasted('Your “KYC file 1042” was approved')
    await kim.toasted('Passport checked.')
    expect(await kim.sameDocument()).toBe(true)
    await dana.toasted('“KYC file 1042” approved by you')

    // The fence: Meadow's own event comes after what it must not see.
    await tom.approve(server.url, 'meadow-clinics-202')
    await noor.toasted('“Eligibility check 202” approved by Tom')
    await noor.row('meadow-clinics-202').getByText('Approved').waitFor()
    const shown = await noor.everShown()
    expect(shown).toContain('Eligibility check 202')
    expect(shown).not.toContain('KYC file')
    expect(shown).not.toContain('Dana')
  })

  it('[board] what is decided between loading and listening is not lost: the stream begins at the cursor of the load', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    let listen = () => {}
    const mayListen = new Promise<void>((resolve) => {
      listen = resolve
    })
    await kim.page.route('**/api/sse*', async (route) => {
      await mayListen
      await route.continue()
    })
    await kim.page.reload()
    await kim.row('harbor-bank-1042').getByText('Pending').waitFor()
    await dana.approve(server.url, 'harbor-bank-1042')
    let loads = 0
    kim.page.on('request', (request) => {
      if (request.url().endsWith('/api/bootstrap')) loads++
    })
    listen()
    await kim.row('harbor-bank-1042').getByText('Approved').waitFor()
    expect(loads).toBe(0)
  })

  it('[board] a new submission appears in the colleagues’ tables', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    await kim.indicator('Live').waitFor()
    await dana.page.getByRole('button', { name: 'New submission' }).click()
    await dana.page.getByLabel('Participant').fill('Ada Example')
    await dana.page.getByLabel('Kind').last().selectOption('KYC file')
    await dana.page.getByRole('button', { name: 'Submit' }).click()
    await kim.row('harbor-bank-1048').getByText('Ada Example').waitFor()
    expect(await kim.sameDocument()).toBe(true)
  })

  it('[lock] a colleague sees who is reviewing, cannot decide meanwhile, and can as soon as the drawer is closed', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    await kim.indicator('Live').waitFor()
    await dana.open('harbor-bank-1043')
    await kim.row('harbor-bank-1043').getByText('Dana is reviewing…').waitFor()
    await kim.open('harbor-bank-1043')
    await kim.drawer.getByText('Dana is reviewing this submission').waitFor()
    expect(await kim.drawer.getByRole('button', { name: 'Approve' }).count()).toBe(0)

    await dana.drawer.getByRole('button', { name: 'Close' }).click()
    await kim.drawer.getByRole('button', { name: 'Approve' }).waitFor()
    await kim.row('harbor-bank-1043').getByText('You are reviewing…').waitFor()
    await dana.row('harbor-bank-1043').getByText('Kim is reviewing…').waitFor()
  })

  it('[lock] ends by itself when the reviewer’s network is gone', async () => {
    const server = await serve({ LOCK_TTL_MS: '2000' })
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    await kim.indicator('Live').waitFor()
    await dana.open('harbor-bank-1043')
    const badge = kim.row('harbor-bank-1043').getByText('Dana is reviewing…')
    await badge.waitFor()
    await dana.context.setOffline(true)
    await badge.waitFor({ state: 'detached' })
  })

  it('[board] the reminder job tells the team how many participants are overdue', async () => {
    const server = await serve()
    const marco = await signIn(server, HARBOR, 'Marco Bell')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    await kim.indicator('Live').waitFor()
    await marco.page.getByRole('button', { name: 'Run reminder job' }).click()
    await kim.toasted('3 participants overdue')
  })

  it('[flag] with FF_SSE_UPDATES off the page asks for no stream, and the reload button shows the state', async () => {
    const server = await serve({ FF_SSE_UPDATES: 'off' })
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    await kim.indicator('Updates off').waitFor()
    await dana.open('harbor-bank-1042')
    await dana.drawer.getByRole('button', { name: 'Approve' }).click()
    await dana.toasted('“KYC file 1042” approved')
    await kim.row('harbor-bank-1042').getByText('Pending').waitFor()
    await kim.page.getByRole('button', { name: 'Reload' }).click()
    await kim.row('harbor-bank-1042').getByText('Approved').waitFor()
    expect([...dana.streams, ...kim.streams]).toEqual([])
  })

  it('[admin] the stats are refused to a reviewer, and show an admin who is connected', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const marco = await signIn(server, HARBOR, 'Marco Bell')
    for (const tab of [dana, marco]) await tab.indicator('Live').waitFor()
    expect((await dana.context.request.get(`${server.url}/events/stats`)).status()).toBe(403)
    expect(await dana.page.getByRole('button', { name: 'Streams' }).count()).toBe(0)
    const stats = await marco.context.request.get(`${server.url}/events/stats`)
    expect(await stats.json()).toMatchObject({ connections: 2 })
    await marco.page.getByRole('button', { name: 'Streams' }).click()
    await marco.page.getByRole('row', { name: /Dana Whitfield.*validation, notifications/ }).waitFor()
    await marco.page.getByRole('row', { name: /Marco Bell.*validation, notifications/ }).waitFor()
  })

  it('[session] signing out or in as somebody else in one tab is followed by the other tabs of the browser', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    await dana.indicator('Live').waitFor()
    const second = await dana.context.newPage()
    await second.goto(server.url)
    await second.getByRole('button', { name: 'Sign out' }).click()
    await dana.page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await dana.fillSignIn(MEADOW, 'Noor Haddad')
    await second.getByText('Noor Haddad').waitFor()
    await second.getByRole('table').getByText('Eligibility check 202').waitFor()
    await second.getByRole('status').getByText('Live', { exact: true }).waitFor()
  })

  it('[restart] the server is killed and comes back: the page ends equal to the database without a reload', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    await kim.indicator('Live').waitFor()
    await server.end('SIGKILL')
    await kim.indicator('Reconnecting…').waitFor()
    // Even the first attempt to load again fails.
    await kim.page.route('**/api/bootstrap', (route) => route.abort(), { times: 1 })
    await server.run()
    await dana.approve(server.url, 'harbor-bank-1042')
    await kim.row('harbor-bank-1042').getByText('Approved').waitFor()
    await kim.indicator('Live').waitFor()
    await dana.approve(server.url, 'harbor-bank-1043')
    await kim.row('harbor-bank-1043').getByText('Approved').waitFor()
    expect(await kim.sameDocument()).toBe(true)
  })

  it('[shutdown] SIGTERM with open boards: the streams are ended, and the process exits by itself', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    await dana.indicator('Live').waitFor()
    const end = await server.end('SIGTERM')
    expect(end).toMatchObject({ code: 0, signal: null })
    expect(end.printed).toMatch(/closed\n$/)
    await dana.indicator('Reconnecting…').waitFor()
  })

  it('[EventSource] the browser’s own reads the stream, and goes on where it was after the server has cut it', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const marco = await signIn(server, HARBOR, 'Marco Bell')
    const kim = await signIn(server, HARBOR, 'Kim Osei')
    // Only the unmodified client is Kim's.
    await kim.page.goto('about:blank')
    const source = await NativeEventSource.open(kim.context, server.url)
    const ofType = async (type: string) => (await source.events()).filter((event) => event.type === type)
    await vi.waitFor(async () => expect(await ofType('connected')).toHaveLength(1), soon)
    await dana.approve(server.url, 'harbor-bank-1042')
    await vi.waitFor(async () => expect(await ofType('submission:approved')).toHaveLength(1), soon)

    // The stream of the page that Kim has left may still be there for a moment.
    const open = await vi.waitFor(async () => {
      const list = await (await marco.context.request.get(`${server.url}/api/connections`)).json()
      const ofKim = list.filter(({ userId }: { userId: string }) => userId === 'kim')
      expect(ofKim).toHaveLength(1)
      return ofKim
    }, soon)
    await marco.context.request.delete(`${server.url}/api/connections/${open[0].connectionId}`)
    await dana.approve(server.url, 'harbor-bank-1043')

    await vi.waitFor(async () => expect(await ofType('submission:approved')).toHaveLength(2), soon)
    await vi.waitFor(async () => expect(await ofType('connected')).toHaveLength(2), soon)
    // A further event is the fence: nothing was sent twice before it.
    await dana.approve(server.url, 'harbor-bank-1041')
    await vi.waitFor(
      async () => expect((await ofType('submission:approved')).at(-1)?.data.data.submissionId).toBe('harbor-bank-1041'),
      soon,
    )
    const ids = ['harbor-bank-1042', 'harbor-bank-1043', 'harbor-bank-1041']
    expect((await ofType('entity.updated')).map(({ data }) => data.id)).toEqual(ids)
    expect((await ofType('submission:approved')).map(({ data }) => data.data.submissionId)).toEqual(ids)
    expect(await ofType('closing')).toMatchObject([{ data: { reason: 'rotated' } }])
    expect(await ofType('resync')).toEqual([])
  })

  it('[EventSource] after a restart it comes back with its cursor, is told to resync, and gets what follows', async () => {
    const server = await serve()
    const dana = await signIn(server, HARBOR, 'Dana Whitfield')
    const source = await NativeEventSource.open(dana.context, server.url)
    const ofType = async (type: string) => (await source.events()).filter((event) => event.type === type)
    await vi.waitFor(async () => expect(await ofType('connected')).toHaveLength(1), soon)
    await dana.approve(server.url, 'harbor-bank-1042')
    await vi.waitFor(async () => expect(await ofType('submission:approved')).toHaveLength(1), soon)

    expect((await server.end('SIGTERM')).code).toBe(0)
    await server.run()
    await vi.waitFor(async () => expect(await ofType('resync')).toMatchObject([{ data: { reason: 'epoch' } }]), soon)
    expect((await ofType('connected')).at(-1)?.data.resume).toBe('resync')
    await dana.approve(server.url, 'harbor-bank-1043')
    await vi.waitFor(
      async () => expect((await ofType('submission:approved')).at(-1)?.data.data.submissionId).toBe('harbor-bank-1043'),
      soon,
    )
    const events = await source.events()
    const at = (fits: (event: (typeof events)[number]) => boolean) => events.findIndex(fits)
    expect(at(({ type }) => type === 'resync')).toBeLessThan(at(({ data }) => data.id === 'harbor-bank-1043'))
  })
})
