import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { NatsAdapter } from '@entitycast/sse-server/nats'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually, ready, stream, told } from '../support/broker-hub'
import { HAS_NATS, NatsServer } from '../support/nats'
import { NatsInstances, RETENTION, record } from '../support/nats-hub'

/*
 * What docs/adapters/nats.md says of rights and of the stream: an account that has exactly those, and streams that are not right.
 */

const page = readFileSync(fileURLToPath(new URL('../../../../docs/adapters/nats.md', import.meta.url)), 'utf8')
const [authorization = ''] = /^authorization \{[\s\S]*?^\}/m.exec(page) ?? []
const admin = { user: 'admin', pass: 'secret' }
const events = { user: 'events', pass: 'secret' }
const instances = new NatsInstances()
afterEach(() => instances.end())

describe.runIf(HAS_NATS)('an account with the rights that the guide names', () => {
  let server: NatsServer
  beforeAll(async () => {
    const less = authorization
      .match(/\{ user: events[\s\S]*\} \}/)?.[0]
      .replace('user: events', 'user: less')
      .replace(/.*STREAM\.(?:CREATE|UPDATE).*\n/g, '')
    const deaf = less?.replace('user: less', 'user: deaf').replace('"entitycast.live.*", ', '')
    const users = `users: [ { user: admin, password: secret }\n${less}\n${deaf}\n`
    server = await NatsServer.start(authorization.replace('users: [', users), admin)
  })
  afterAll(() => server?.end())

  it('[B1] who may not make the stream is told what to make, with a code and without credentials, and is served once it is there', async () => {
    const adapter = instances.adapter(server, { connect: () => server.connect({ user: 'less', pass: 'secret' }) })
    const refused = await adapter.append('p', [record(1)]).catch((error: Error) => error)
    expect(refused).toMatchObject({ code: 'STREAM_MISSING' })
    expect((refused as Error).message).not.toContain('secret')
    const [, config = ''] = /: (\{.*\})$/.exec((refused as Error).message) ?? []
    expect(JSON.parse(config)).toEqual(NatsAdapter.streamConfig())
    expect(adapter.status()).toBe('degraded')
    await server.ask('STREAM.CREATE.ENTITYCAST', JSON.parse(config))
    await eventually(async () => expect((await adapter.append('p', [record(1)])).offset).toBe(1))
    await server.ask('STREAM.DELETE.ENTITYCAST')
  })

  it('[B4] who may not let the stream hold more for a raised retention is told how, and is served once somebody has', async () => {
    await server.ask('STREAM.CREATE.ENTITYCAST', NatsAdapter.streamConfig())
    const raised = { ...RETENTION, events: 2_000 }
    const less = instances.adapter(server, { connect: () => server.connect({ ...events, user: 'less' }) }, raised)
    await expect(less.append('p', [record(1)])).rejects.toMatchObject({
      code: 'STREAM_UNSUITABLE',
      message: expect.stringMatching(/Mend it: nats stream edit ENTITYCAST --max-msgs-per-subject=2024$/),
    })
    const more = instances.adapter(server, { connect: () => server.connect(events) }, raised)
    expect((await more.append('p', [record(1)])).offset).toBe(1)
    await eventually(async () => expect((await less.append('p', [record(2)])).offset).toBe(2))
    await instances.end()
    await server.ask('STREAM.DELETE.ENTITYCAST')
  })

  it('[B1] they are enough, also for what is rare', async () => {
    const on = { connect: () => server.connect(events), checkIntervalMs: 100 }
    const add = () => instances.hub(server, on)
    const [one, two] = [add(), add()]
    await Promise.all([ready(one), ready(two)])
    const client = await stream(one, 'p')
    const first = await two.hub.project('p').emit('a:b', 1)
    await two.hub.project('p').emit('a:b', 2)
    await eventually(() => expect(told(client)).toEqual([1, 2]))
    const back = await stream(two, 'p', first)
    await eventually(() => expect(told(back)).toEqual([2]))
    // What is too old is purged.
    const brief = instances.adapter(server, on, { ...RETENTION, ageMs: 100 })
    for (const n of [1, 2, 3]) await brief.append('q', [record(n)])
    await eventually(async () => {
      const question = { subjects_filter: 'entitycast.log.q' }
      const { state } = await server.ask<{ state: { subjects: object } }>('STREAM.INFO.ENTITYCAST', question)
      expect(state.subjects).toEqual({ 'entitycast.log.q': 1 })
    })
    await server.ask('STREAM.DELETE.ENTITYCAST')
    // It is made anew.
    await eventually(() => two.hub.project('p').emit('a:b', 3))
    await eventually(async () => expect((await stream(one, 'p', first)).resyncs).toEqual(['epoch']))
  })

  it('[B1] who may not listen, and who may not come in, is refused with a reason and without credentials', async () => {
    await server.ask('STREAM.CREATE.ENTITYCAST', NatsAdapter.streamConfig())
    for (const [user, reason] of [
      ['deaf', /may not be listened to on entitycast\.live\.p \(PermissionViolationError\)/],
      ['nobody', /could not be reached \(AuthorizationError\)/],
    ] as const) {
      const adapter = instances.adapter(server, {
        connect: () => server.connect({ user, pass: 'top-secret'.slice(user === 'deaf' ? 4 : 0) }),
      })
      const error = await adapter.open('p', { entries() {}, doubt() {} }).catch((thrown: Error) => thrown)
      expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(reason) })
      expect(JSON.stringify([error, (error as Error).message])).not.toMatch(/secret/)
    }
  })
})

describe.runIf(HAS_NATS)('a stream that is not as it must be', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await NatsServer.start()
  })
  afterAll(() => server?.end())

  it('[B4] is refused by name, with what it is and what it must be, and serves when it is mended', async () => {
    const right = NatsAdapter.streamConfig()
    for (const [wrong, message] of [
      [{ discard: 'new' }, /discard is "new", and must be "old"/],
      [{ max_age: 3_600_000_000_000 }, /max_age is 3600000000000, and must be 0/],
      [{ max_msgs_per_subject: 10 }, /max_msgs_per_subject is 10, and must be at least 1024/],
      [{ max_msg_size: 1_000 }, /max_msg_size is 1000, and must be -1/],
      [{ duplicate_window: 1_000_000_000 }, /duplicate_window is 1000000000/],
      [{ republish: undefined }, /republish is null/],
      [{ storage: 'memory' }, /storage is "memory", and must be "file"/],
      [{ sources: [{ name: 'OTHER' }] }, /it takes messages from other streams \(sources\)/],
    ] as const) {
      await server.ask('STREAM.CREATE.ENTITYCAST', { ...right, ...wrong })
      const adapter = instances.adapter(server)
      const error = await adapter.append('p', [record(1)]).catch((thrown: Error) => thrown)
      expect(error).toMatchObject({ code: 'STREAM_UNSUITABLE', message: expect.stringMatching(message) })
      expect(adapter.status()).toBe('degraded')
      if ('max_age' in wrong) {
        await server.ask('STREAM.UPDATE.ENTITYCAST', right)
        await eventually(async () => expect((await adapter.append('p', [record(1)])).offset).toBe(1))
      }
      await instances.end()
      await server.ask('STREAM.DELETE.ENTITYCAST')
    }
  })

  it('[B4] one that lets nobody delete or purge serves: what is too old is refused all the same', async () => {
    const config = { ...NatsAdapter.streamConfig(), deny_delete: true, deny_purge: true }
    await server.ask('STREAM.CREATE.ENTITYCAST', config)
    const brief = instances.adapter(server, { checkIntervalMs: 100 }, { ...RETENTION, events: 2 })
    const { epoch } = await brief.append('p', [record(1)])
    for (const n of [2, 3, 4]) await brief.append('p', [record(n)])
    expect(await brief.read('p', { epoch, offset: 1 }, 10)).toEqual({ gap: 'expired' })
    expect(await brief.read('p', { epoch, offset: 2 }, 10)).toMatchObject({ entries: [{ offset: 3 }, { offset: 4 }] })
    await instances.end()
    await server.ask('STREAM.DELETE.ENTITYCAST')
  })

  it('[B4] one that we have made holds more where the retention was raised, with what is in it, beside an instance of before', async () => {
    const before = instances.adapter(server)
    const { epoch } = await before.append('p', [record(1)])
    const made = NatsAdapter.streamConfig({ events: RETENTION.events })
    const raised = { ...RETENTION, events: RETENTION.events + 1_000 }
    const after = instances.adapter(server, {}, raised)
    expect(await after.append('p', [record(2)])).toEqual({ epoch, offset: 2 })
    expect(await before.append('p', [record(3)])).toEqual({ epoch, offset: 3 })
    const { config } = await server.ask<{ config: object }>('STREAM.INFO.ENTITYCAST')
    expect(config).toMatchObject({ ...made, max_msgs_per_subject: made.max_msgs_per_subject + 1_000 })
    // One of before that starts again leaves it as it is.
    expect(await instances.adapter(server).append('p', [record(4)])).toEqual({ epoch, offset: 4 })
    expect(await server.ask('STREAM.INFO.ENTITYCAST')).toMatchObject({ config })
    await instances.end()
    await server.ask('STREAM.DELETE.ENTITYCAST')
  })

  it('[B4] one that somebody else has made is left as it is where the retention was raised, and the error has the command', async () => {
    await server.ask('STREAM.CREATE.ENTITYCAST', { ...NatsAdapter.streamConfig(), max_bytes: 100_000_000 })
    const adapter = instances.adapter(server, {}, { ...RETENTION, events: 2_000 })
    await expect(adapter.append('p', [record(1)])).rejects.toMatchObject({
      code: 'STREAM_UNSUITABLE',
      message: expect.stringMatching(/Mend it: nats stream edit ENTITYCAST --max-msgs-per-subject=2024$/),
    })
    expect(await server.ask('STREAM.INFO.ENTITYCAST')).toMatchObject({ config: { max_msgs_per_subject: 1_024 } })
    await instances.end()
    await server.ask('STREAM.DELETE.ENTITYCAST')
  })

  it('[B4] a server that takes small messages only is refused', async () => {
    const small = await NatsServer.start('max_payload: 64KB')
    const adapter = instances.adapter(small)
    await expect(adapter.append('p', [record(1)])).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await instances.end()
    await small.end()
  })
})
