import { channelName } from '@entitycast/sse-protocol'
import type { EventHub } from '@entitycast/sse-server'
import { Logger } from '@nestjs/common'
import { EventEmitter2, EventEmitterModule } from '@nestjs/event-emitter'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type NestApp, startNestApp } from './nest-app'
import { StreamClient } from './stream-client'

const WAIT = { timeout: 15_000 }

let running: NestApp | undefined
let client: StreamClient | undefined
afterEach(async () => {
  client?.close()
  client = undefined
  await running?.app.close()
  running = undefined
  vi.restoreAllMocks()
})

async function start(config?: { wildcard?: boolean; delimiter?: string }) {
  running = await startNestApp({
    platform: 'express',
    events: { eventEmitter: true },
    imports: [EventEmitterModule.forRoot(config)],
  })
  const refusals: string[] = []
  vi.spyOn(Logger.prototype, 'error').mockImplementation((message) => void refusals.push(String(message)))
  client = await StreamClient.open(`${running.url}/stream`)
  await client.next('connected')
  return { emitter: running.app.get(EventEmitter2), hub: running.hub as EventHub, client, refusals }
}

const updated = (id: string, rest: object = {}) => ({
  type: 'entity.updated',
  entity: 'document',
  id,
  data: { n: 1 },
  ...rest,
})

describe.each([
  ['as it comes', undefined],
  ['with wildcards', { wildcard: true }],
  ['with wildcards and another delimiter', { wildcard: true, delimiter: ':' }],
])('what an application emits through EventEmitter2 %s', (_, config) => {
  it('as events.<projectId> reaches the project, with the fields it has', async () => {
    const { emitter, client } = await start(config)
    const timestamp = '2026-01-02T03:04:05.000Z'
    emitter.emit('events.p1', updated('d1', { projectId: 'p1', timestamp, userId: 'u7', version: 3 }))
    emitter.emit('events.p1', { type: 'lock:acquired', data: { entityId: 7 } })
    await emitter.emitAsync('events.p1.locks', { type: 'lock:released', data: { entityId: 7 } })
    expect((await client.next('entity.updated')).data).toEqual({
      entity: 'document',
      id: 'd1',
      data: { n: 1 },
      timestamp,
      userId: 'u7',
      version: 3,
    })
    expect((await client.next('lock:acquired')).data).toMatchObject({ data: { entityId: 7 } })
    expect((await client.next('lock:released')).data).toMatchObject({ data: { entityId: 7 }, channel: 'locks' })
  })

  it('for other names and other projects stays where it is', async () => {
    const { emitter, hub, client, refusals } = await start(config)
    const elsewhere: string[] = []
    hub.listen({ projectId: 'p2' }, (event) => void elsewhere.push(String(event.id)))
    await hub.cursor('p2')
    emitter.emit('document.updated', updated('other-name'))
    emitter.emit(Symbol('events.p1'), updated('symbol'))
    emitter.emit('eventsp1', updated('prefix'))
    emitter.emit('events.p2', updated('other-project'))
    emitter.emit('events.p1', updated('sentinel'))
    expect((await client.next('entity.updated')).data).toMatchObject({ id: 'sentinel' })
    await vi.waitFor(() => expect(elsewhere).toEqual(['other-project']), WAIT)
    expect(refusals).toEqual([])
  })
})

describe('the bridge from EventEmitter2', () => {
  it('reads names that were emitted as their parts, with any number of values', async () => {
    const { emitter, client } = await start({ wildcard: true })
    emitter.emit(['events', 'p1'], updated('d1'))
    emitter.emit(['events', 'p1', 'locks'], updated('d2'), 'more', 'values')
    emitter.emit(['events', Symbol('p1')], updated('d3'), 'more', 'values')
    emitter.emit('events.p1', updated('sentinel'))
    expect((await client.next('entity.updated')).data).toMatchObject({ id: 'd1' })
    expect((await client.next('entity.updated')).data).toMatchObject({ id: 'd2', channel: 'locks' })
    expect((await client.next('entity.updated')).data).toMatchObject({ id: 'sentinel' })
  })

  it('reads what channelName makes of any project id', async () => {
    const { emitter, hub } = await start()
    const seen: string[] = []
    hub.listen({ projectId: 'a.b c/ü' }, (event) => void seen.push(String(event.id)))
    await hub.cursor('a.b c/ü')
    emitter.emit(channelName('a.b c/ü'), updated('d1'))
    await vi.waitFor(() => expect(seen).toEqual(['d1']), WAIT)
  })

  it.each([
    ['says another project than the name', 'events.p1', updated('d1', { projectId: 'p2' }), /projectId "p2".*"p1"/],
    [
      'says another channel than the name',
      'events.p1.locks',
      updated('d1', { channel: 'other' }),
      /channel "other".*"locks"/,
    ],
    ['is not an event', 'events.p1', 'text', /"text"; it must be an event/],
    ['is missing', 'events.p1', undefined, /undefined; it must be an event/],
    ['has a type that is not allowed', 'events.p1', { type: 'a\rb' }, /type/],
    ['comes under a name that is none', 'events.p1.locks.deep', updated('d1'), /channelName/],
  ])(
    'a payload that %s is logged and reaches nobody; the emitter does not notice',
    async (_, name, payload, reason) => {
      const { emitter, client, refusals } = await start()
      expect(() => emitter.emit(name, payload)).not.toThrow()
      emitter.emit('events.p1', updated('sentinel'))
      expect((await client.next('entity.updated')).data).toMatchObject({ id: 'sentinel' })
      expect(refusals).toEqual([expect.stringMatching(reason)])
    },
  )

  it('a hub that is closed is logged too, and no rejection is left unhandled', async () => {
    const { emitter, hub, refusals } = await start()
    await hub.close()
    emitter.emit('events.p1', updated('d1'))
    await vi.waitFor(() => expect(refusals).toEqual([expect.stringMatching(/closed/)]), WAIT)
  })

  it('is gone after app.close()', async () => {
    const { emitter } = await start()
    expect(emitter.listenersAny()).toHaveLength(1)
    await running?.app.close()
    expect(emitter.listenersAny()).toHaveLength(0)
  })

  it('without EventEmitterModule the application does not start, and says what is missing', async () => {
    await expect(startNestApp({ platform: 'express', events: { eventEmitter: true } })).rejects.toThrow(
      /EventEmitterModule\.forRoot/,
    )
  })
})
