import { EventHub } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { testHub } from '../support/hub'
import { open } from '../support/stream'

it('[N11] a listener without a handler is refused at once', () => {
  expect(() => new EventHub().listen({ projectId: 'p1' }, undefined as never)).toThrow('handler is undefined')
})

it.each([
  [{ projectId: 'p1', typ: 'lock:*' }, {}, 'INVALID_FILTER', 'typ'],
  [{ projectId: 'p1', type: 'lock:*', pattern: 'document:*' }, {}, 'INVALID_FILTER', 'pattern'],
  [{ projectId: 'p1' }, { onresync: () => {} }, 'INVALID_OPTION', 'onresync'],
  [{ projectId: 'p1' }, { onResync: 5 }, 'INVALID_OPTION', 'onResync'],
  [{ projectId: 'p1' }, null, 'INVALID_OPTION', 'options'],
])(
  '[N11] a listener %o that is misspelt is refused, rather than given more than was meant: %o',
  (filter, options, code, name) => {
    const refused = expect.objectContaining({ code, message: expect.stringContaining(name) })
    expect(() => new EventHub().listen(filter as { projectId: string }, () => {}, options as object)).toThrow(refused)
  },
)

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

describe('a grant with a misspelt field', () => {
  it.each([
    [{ projectId: 'p1', channel: ['a'] }, '"channel" is not a field of a grant; did you mean channels?'],
    [{ projectId: 'p1', userID: 'u1' }, '"userID" is not a field of a grant; did you mean userId?'],
    [{ project_id: 'p1' }, '"project_id" is not a field of a grant; did you mean projectId?'],
    [{ projectId: 'p1', expires_at: 1_800_000_000_000 }, 'did you mean expiresAt?'],
    [true, 'authorize returned true; a grant is { projectId'],
  ])('[D8] opens no stream to more than was meant, and the log says which: %o', async (grant, says) => {
    const { hub, logger } = testHub()
    await open(hub, grant as never)
    expect(logger.lines).toMatchObject([{ details: { cause: expect.stringContaining(says) } }])
    await hub.close()
  })

  it("[D8] may have other fields, such as a token's, and two ways to write one that is there", async () => {
    const { hub } = testHub()
    const token = { iat: 1, exp: 1_800_000_000, sub: 'u1', user_id: 'u1', name: 'Ann', project: 'p1' }
    const stream = await open(hub, { ...token, projectId: 'p1', userId: 'u1' })
    expect(stream.status).toBe(200)
    await hub.close()
  })
})
