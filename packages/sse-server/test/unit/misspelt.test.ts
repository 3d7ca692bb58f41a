import { EventHub } from '@entitycast/sse-server'
import { expect, it } from 'vitest'
import { testHub } from '../support/hub'

it('[N11] a listener without a handler is refused at once', () => {
  expect(() => new EventHub().listen({ projectId: 'p1' }, undefined as never)).toThrow('handler is undefined')
})

it.each([{ audiences: { users: ['u1'] } }, { audence: { users: ['u1'] }, version: 1 }])(
  '[D8] a misspelt audience publishes nothing, rather than to everyone: %o',
  async (options) => {
    const { hub } = testHub()
    const rejected = { code: 'INVALID_EVENT', message: expect.stringContaining('is not an option') }
    await expect(hub.project('p1').updated('document', 'd1', {}, options as object)).rejects.toMatchObject(rejected)
    const event = { type: 'a:b', projectId: 'p1', data: 1 } as const
    await expect(hub.publish(event, options as object)).rejects.toMatchObject(rejected)
    expect(hub.stats().published).toBe(0)
    await hub.close()
  },
)
