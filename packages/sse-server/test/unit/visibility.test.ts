import type { EventHub, Grant } from '@entitycast/sse-server'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, testHub } from '../support/hub'
import { open, type TestStream } from '../support/stream'
import type { VirtualClock } from '../support/virtual-clock'

describe('who sees what', () => {
  let hub: EventHub
  let clock: VirtualClock
  beforeEach(() => {
    ;({ hub, clock } = testHub())
  })
  afterEach(() => hub.close())

  const entities = (stream: TestStream) => stream.events.map(({ data }) => data.id)

  /** What a stream with this grant gets of `publish`, live and as a replay, with a sentinel behind it that everyone gets. */
  async function seenBy(grant: Grant, publish: () => Promise<unknown>, channels?: readonly string[]) {
    const cursor = await hub.cursor('p1')
    const asked = channels ? { channels } : {}
    const live = await open(hub, grant, asked)
    expect(live.status).toBe(200)
    await publish()
    for (const channel of ['default', 'a', 'b'])
      await hub.project('p1').updated('document', `sentinel-${channel}`, {}, { channel })
    await clock.settle()
    const behind = await open(hub, grant, { ...asked, lastEventId: cursor })
    expect(entities(behind)).toEqual(entities(live))
    expect(behind.resyncs).toEqual([])
    return entities(live)
  }

  it("[D8] another project's events never arrive, live or as a replay", async () => {
    const seen = await seenBy({ projectId: 'p1' }, () => hub.project('p2').updated('document', 'foreign'))
    expect(seen).toEqual(['sentinel-default', 'sentinel-a', 'sentinel-b'])
  })

  const onChannels = async () => {
    await hub.project('p1').updated('document', 'on-default')
    await hub.project('p1').updated('document', 'on-a', {}, { channel: 'a' })
    await hub.project('p1').updated('document', 'on-b', {}, { channel: 'b' })
  }

  it('[D8] a grant of all channels, or that names none, covers every channel', async () => {
    const all = ['on-default', 'on-a', 'on-b', 'sentinel-default', 'sentinel-a', 'sentinel-b']
    expect(await seenBy({ projectId: 'p1', channels: 'all' }, onChannels)).toEqual(all)
    expect(await seenBy({ projectId: 'p1' }, onChannels)).toEqual(all)
  })

  it('[D8] a grant of some channels covers these only, and not the default one', async () => {
    expect(await seenBy({ projectId: 'p1', channels: ['a'] }, onChannels)).toEqual(['on-a', 'sentinel-a'])
  })

  it('[D8] a grant of no channels covers nothing', async () => {
    expect(await seenBy({ projectId: 'p1', channels: [] }, onChannels)).toEqual([])
  })

  it('[R3] of what is granted only the channels that were asked for are sent', async () => {
    expect(await seenBy({ projectId: 'p1' }, onChannels, ['b'])).toEqual(['on-b', 'sentinel-b'])
    expect(await seenBy({ projectId: 'p1', channels: ['a', 'b'] }, onChannels, ['b'])).toEqual(['on-b', 'sentinel-b'])
    expect(await seenBy({ projectId: 'p1' }, onChannels, ['default'])).toEqual(['on-default', 'sentinel-default'])
  })

  it('[R3] a channel outside of the grant is 403, also beside one that is granted', async () => {
    const stream = await open(hub, { projectId: 'p1', channels: ['a'] }, { channels: ['a', 'b'] })
    expect([stream.status, stream.code]).toEqual([403, 'CHANNEL_FORBIDDEN'])
    expect(hub.stats().connections).toBe(0)
  })

  it('[R3] a malformed list of channels is 400', async () => {
    for (const query of [
      'channels=',
      'channels=a,,b',
      'channels=a%20b',
      `channels=${Array.from({ length: 101 }, (_, n) => n)}`,
    ]) {
      const stream = await open(hub, { projectId: 'p1' }, { path: `/stream?${query}` })
      expect([query, stream.status, stream.code]).toEqual([query, 400, 'BAD_REQUEST'])
    }
  })

  it("[R5] an X-Project-Id that is not the grant's is 403; the same, plain or encoded, is welcome", async () => {
    const ask = async (projectId: string, header: string) => {
      const stream = await open(hub, { projectId }, { headers: { 'x-project-id': header } })
      const { status } = stream
      stream.leave()
      return status
    }
    expect(await ask('p1', 'p1')).toBe(200)
    expect(await ask('p1', 'p2')).toBe(403)
    expect(await ask('p1', '')).toBe(403)
    expect(await ask('é 1', '%C3%A9%201')).toBe(200)
    expect(await ask('%C3%A9', '%C3%A9')).toBe(200)
    expect(await ask('p1', 'P1')).toBe(403)
  })

  const forUsers = async () => {
    await hub.project('p1').updated('document', 'for-u1', {}, { audience: { users: ['u1'] } })
    await hub.project('p1').updated('document', 'for-both', {}, { audience: { users: ['u1', 'u2'] } })
    await hub.project('p1').updated('document', 'for-undefined', {}, { audience: { users: ['undefined'] } })
  }
  const sentinels = ['sentinel-default', 'sentinel-a', 'sentinel-b']

  it('[D8] an event with an audience reaches these users only', async () => {
    expect(await seenBy({ projectId: 'p1', userId: 'u1' }, forUsers)).toEqual(['for-u1', 'for-both', ...sentinels])
    expect(await seenBy({ projectId: 'p1', userId: 'u2' }, forUsers)).toEqual(['for-both', ...sentinels])
    expect(await seenBy({ projectId: 'p1', userId: 'u3' }, forUsers)).toEqual(sentinels)
  })

  it('[D8] a reader without an id is in no audience, also not in that of the user "undefined"', async () => {
    const cursor = await hub.cursor('p1')
    const named = await open(hub, { projectId: 'p1', userId: 'undefined' })
    const nobody = await open(hub, { projectId: 'p1' })
    await forUsers()
    await hub.project('p1').updated('document', 'sentinel')
    await clock.settle()
    expect(entities(named)).toEqual(['for-undefined', 'sentinel'])
    expect(entities(nobody)).toEqual(['sentinel'])
    const namedBehind = await open(hub, { projectId: 'p1', userId: 'undefined' }, { lastEventId: cursor })
    const nobodyBehind = await open(hub, { projectId: 'p1' }, { lastEventId: cursor })
    expect(entities(namedBehind)).toEqual(['for-undefined', 'sentinel'])
    expect(entities(nobodyBehind)).toEqual(['sentinel'])
  })

  it("[D8] users who share a view do not get each other's pages, whoever asks first", async () => {
    const cursor = await hub.cursor('p1')
    const users = ['u1', 'u2', 'u3', '', '/', '=u1'].map((userId) =>
      userId ? { projectId: 'p1', userId } : { projectId: 'p1' },
    )
    const live = await Promise.all(users.map((grant) => open(hub, grant)))
    for (const { userId } of users) {
      if (userId) await hub.project('p1').emit('note:private', userId, { audience: { users: [userId] } })
    }
    await hub.project('p1').emit('note:public', 'all')
    await clock.settle()
    for (const order of [users, [...users].reverse()]) {
      for (const grant of order) {
        const behind = await open(hub, grant, { lastEventId: cursor })
        expect(behind.events.map(({ data }) => data.data)).toEqual(grant.userId ? [grant.userId, 'all'] : ['all'])
        behind.leave()
      }
    }
    expect(live.map((stream) => stream.events.map(({ data }) => data.data))).toEqual(
      users.map(({ userId }) => (userId ? [userId, 'all'] : ['all'])),
    )
  })

  it('[D8] an audience counts on a channel only for those who read the channel', async () => {
    const publish = () =>
      hub.project('p1').updated('document', 'secret', {}, { channel: 'a', audience: { users: ['u1'] } })
    expect(await seenBy({ projectId: 'p1', userId: 'u1', channels: ['b'] }, publish)).toEqual(['sentinel-b'])
    expect(await seenBy({ projectId: 'p1', userId: 'u1', channels: ['a'] }, publish)).toEqual(['secret', 'sentinel-a'])
  })

  it('[D8] a merged page holds nothing of an update that its reader may not see', async () => {
    const cursor = await hub.cursor('p1')
    await hub.project('p1').updated('document', 'd', { shown: 1 })
    await hub.project('p1').updated('document', 'd', { secret: 1 }, { audience: { users: ['u1'] } })
    await hub.project('p1').updated('document', 'd', { shown: 2 })
    const stranger = await open(hub, { projectId: 'p1', userId: 'u2' }, { lastEventId: cursor })
    expect(stranger.events.map(({ data }) => data.data)).toEqual([{ shown: 2 }])
    const member = await open(hub, { projectId: 'p1', userId: 'u1' }, { lastEventId: cursor })
    expect(Object.assign({}, ...member.events.map(({ data }) => data.data))).toEqual({ shown: 2, secret: 1 })
  })

  it('[D8] a cursor past events that its reader could not see moves on with them', async () => {
    const stream = await open(hub, { projectId: 'p1', channels: ['a'] })
    for (let n = 0; n < 2_000; n++) void hub.project('p1').updated('document', `d${n}`, {}, { channel: 'b' })
    await clock.settle()
    await hub.project('p1').updated('document', 'sentinel', {}, { channel: 'a' })
    await clock.settle()
    expect(entities(stream)).toEqual(['sentinel'])
    expect(stream.resyncs).toEqual([])
  })

  it('[P3] a filter of connections whose project is missing is refused: it never means every project', async () => {
    const { hub } = testHub()
    await open(hub, { projectId: 'p1', userId: 'u1' })
    await open(hub, { projectId: 'p2', userId: 'u2' })
    for (const filter of [
      { projectId: undefined },
      { projectId: 'p1', userId: undefined },
      { projectId: null },
      { projectId: '' },
      { projectId: ['p1'] },
      { project: 'p1' },
      null,
      'p1',
    ]) {
      expect(await codeOf(() => hub.connections(filter as never))).toBe('INVALID_FILTER')
    }
    expect(hub.connections().length).toBe(2)
    expect(hub.connections({}).length).toBe(2)
    expect(hub.connections({ projectId: 'p2' }).map(({ userId }) => userId)).toEqual(['u2'])
    await hub.close()
  })

  it('[P1 D8] an audience that is given where it means nothing is refused, and the event reaches nobody', async () => {
    const { hub, clock } = testHub()
    const stream = await open(hub, { projectId: 'p1', userId: 'u2' })
    const event = { type: 'entity.updated', projectId: 'p1', entity: 'document', id: 'secret' } as const
    const audience = { users: ['u1'] }
    for (const [wrong, options] of [
      [{ ...event, audience }, undefined],
      [event, { users: ['u1'] }],
      [event, { audiance: audience }],
      [event, null],
      [event, 'u1'],
    ]) {
      expect(await codeOf(() => hub.publish(wrong as never, options as never))).toBe('INVALID_EVENT')
    }
    await hub.publish({ ...event, id: 'fence' })
    await clock.settle()
    expect(stream.events.map(({ data }) => data.id)).toEqual(['fence'])
    await hub.close()
  })

  it('[W6] activeUsers and connections name who is there, and nobody else', async () => {
    const first = await open(hub, { projectId: 'p1', userId: 'u1', channels: ['a'] })
    await open(hub, { projectId: 'p1', userId: 'u1' })
    await open(hub, { projectId: 'p1' })
    await open(hub, { projectId: 'p2', userId: 'u2' })
    expect(hub.activeUsers('p1')).toEqual(['u1'])
    expect(hub.connections({ projectId: 'p1' })).toHaveLength(3)
    expect(hub.connections({ connectionId: first.connected.connectionId })).toEqual([
      {
        connectionId: first.connected.connectionId,
        projectId: 'p1',
        userId: 'u1',
        channels: ['a'],
        ageMs: 0,
        lagging: false,
      },
    ])
    expect(hub.connections({ projectId: 'p1', userId: 'u2' })).toEqual([])
    expect(await codeOf(() => hub.activeUsers(undefined as never))).toBe('INVALID_PROJECT_ID')
    first.leave()
    expect(hub.connections({ userId: 'u1' })).toHaveLength(1)
  })
})
