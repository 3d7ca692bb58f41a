import { HubError } from '@entitycast/sse-server'
import { afterEach, describe, expect, it } from 'vitest'
import { CONTROL_LOG } from '../../src/seams/log-name'
import { GatedLog } from '../support/gated-log'
import { testHub } from '../support/hub'
import { SharedHubs } from '../support/shared-log'
import { ask, type OpenOptions, type TestStream } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

/** Longer than anything may take. */
const TOO_LONG_MS = 10_001
const MANY = 40
const grant = { projectId: 'p1', userId: 'u1' }

const waits = (streams: readonly TestStream[]) => streams.map(({ headers }) => Number(headers['retry-after']))

/** They are told to come back after about 5 s, and not together. */
function expectSpread(streams: readonly TestStream[]): void {
  expect(streams.map(({ status, code }) => [status, code])).toEqual(Array(MANY).fill([503, 'UNAVAILABLE']))
  expect(Math.min(...waits(streams))).toBeGreaterThanOrEqual(2)
  expect(Math.max(...waits(streams))).toBeLessThanOrEqual(8)
  expect(new Set(waits(streams)).size).toBeGreaterThan(3)
}

describe('many who are refused together', () => {
  const clock = new VirtualClock()
  let log = new GatedLog(clock)
  let { hub } = testHub({ adapter: log, ports: { clock } })
  afterEach(async () => {
    log.release()
    await hub.close()
    log = new GatedLog(clock)
    hub = testHub({ adapter: log, ports: { clock } }).hub
  })

  async function askAll(options: OpenOptions = {}): Promise<TestStream[]> {
    const asked = Array.from({ length: MANY }, () => ask(hub, grant, options))
    await clock.advance(TOO_LONG_MS)
    await Promise.all(asked.map(({ done }) => done))
    return asked.map(({ stream }) => stream)
  }

  it('[A3] do not come back together where the log does not open', async () => {
    log.holds = (call) => call === 'open'
    expectSpread(await askAll())
  })

  it('[A3] nor where it does not say what a cursor is worth', async () => {
    const [epoch] = (await hub.cursor('p1')).split('.')
    log.holds = (call) => call === 'read'
    expectSpread(await askAll({ lastEventId: `${epoch}.9` }))
  })

  it('[A3 B1] nor where the broker is away, though one error is the answer to all of them', async () => {
    log.fails = () => new HubError('UNAVAILABLE', 'The event log is not available', { retryAfterMs: 5_000 })
    expectSpread(await askAll())
  })

  it('[A3 B1] nor where an adapter fails with an error that is not ours, of which they are told nothing', async () => {
    log.fails = () => new Error('connect ECONNREFUSED 10.0.0.7')
    const streams = await askAll()
    expectSpread(streams)
    expect(JSON.parse(streams[0]?.body as string).error.message).toBe('The event log cannot be reached')
  })

  it('[A3 C2] nor where authorize fails, or takes too long', async () => {
    const fails = () => Promise.reject(new Error('no database'))
    expectSpread(await askAll({ authorize: fails }))
    const late = await askAll({ authorize: () => new Promise(() => {}) })
    expectSpread(late)
    expect(JSON.parse(late[0]?.body as string).error.message).toBe('Authorization took too long')
  })

  it('[A3] by stream they are told so too', async () => {
    log.fails = () => new HubError('UNAVAILABLE', 'The event log is not available', { retryAfterMs: 5_000 })
    const told = (await askAll({ refuse: 'stream' })).map(({ body }) => Number(/^retry: (\d+)\n\n$/.exec(body)?.[1]))
    expect(new Set(told).size).toBeGreaterThan(MANY / 2)
    expect(Math.min(...told)).toBeGreaterThanOrEqual(2_500)
    expect(Math.max(...told)).toBeLessThanOrEqual(7_500)
  })

  it('[A3] an application that says itself when to come back is taken at its word', async () => {
    const authorize = () => {
      throw new HubError('UNAVAILABLE', 'Closed for the night', { retryAfterMs: 60_000 })
    }
    expect(waits(await askAll({ authorize }))).toEqual(Array(MANY).fill(60))
  })

  it('[A3] nor where the log is closed already, which does not say when to come back', async () => {
    log.fails = () => new HubError('CLOSED', 'The adapter is closed')
    const streams = await askAll()
    expect(streams.map(({ status, code }) => [status, code])).toEqual(Array(MANY).fill([503, 'CLOSED']))
    expect(Math.min(...waits(streams))).toBeGreaterThanOrEqual(2)
    expect(new Set(waits(streams)).size).toBeGreaterThan(3)
  })

  it('[B1] an error of the log that does not ask to come back keeps its code; what is to be mended is for the log, and not for the client', async () => {
    const { hub, logger } = testHub({ adapter: log, ports: { clock } })
    log.fails = () => new HubError('MIGRATION_MISSING', 'Run 3.sql on the schema internal_events')
    const { stream, done } = ask(hub, grant)
    await done
    expect([stream.status, stream.code, stream.headers['retry-after']]).toEqual([503, 'MIGRATION_MISSING', undefined])
    expect(stream.body).not.toMatch('internal_events')
    expect(JSON.stringify(logger.lines)).toMatch('Run 3.sql on the schema internal_events')
    await hub.close()
  })

  it('[B1] nor does one that passes name what the application has behind it', async () => {
    log.fails = () => new HubError('UNAVAILABLE', 'PostgreSQL answered 57P03', { retryAfterMs: 5_000 })
    for (const { body } of await askAll()) expect(body).not.toMatch('PostgreSQL')
  })
})

describe('the log in which other instances say what they revoke', () => {
  it('[A3 B1] where it hangs, a refusal says that, and the application is not asked', async () => {
    const hubs = new SharedHubs()
    let begin = () => {}
    const { hub } = hubs.add({}, (instance) => {
      begin = instance.holdOpening((projectId) => projectId === CONTROL_LOG)
    })
    let questions = 0
    const authorize = () => {
      questions++
      return grant
    }
    const asked = Array.from({ length: MANY }, () => ask(hub, null, { authorize }))
    await hubs.clock.advance(TOO_LONG_MS)
    await Promise.all(asked.map(({ done }) => done))
    const streams = asked.map(({ stream }) => stream)
    expectSpread(streams)
    expect(JSON.parse(streams[0]?.body as string).error.message).toBe(
      'What other instances have revoked could not be read in time',
    )
    expect(questions).toBe(0)
    begin()
    await hubs.end()
  })

  it('[A3 B1] where it cannot be opened, nobody is told to come back together with others', async () => {
    const hubs = new SharedHubs()
    const { hub } = hubs.add({}, (instance) => {
      const openLog = instance.open.bind(instance)
      const error = new HubError('UNAVAILABLE', 'The event log is not available', { retryAfterMs: 5_000 })
      instance.open = (projectId, listener) =>
        projectId === CONTROL_LOG ? Promise.reject(error) : openLog(projectId, listener)
    })
    await hubs.clock.settle()
    const asked = Array.from({ length: MANY }, () => ask(hub, grant))
    await Promise.all(asked.map(({ done }) => done))
    expectSpread(asked.map(({ stream }) => stream))
    await hubs.end()
  })
})
