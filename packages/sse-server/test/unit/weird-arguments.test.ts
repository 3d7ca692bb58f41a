import { type EventHub, HubError } from '@entitycast/sse-server'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { end, testHub } from '../support/hub'
import { open } from '../support/stream'
import type { VirtualClock } from '../support/virtual-clock'

/** What programs pass by mistake, and what clients pass on purpose. */
const VALUES: unknown[] = [
  undefined,
  null,
  0,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  'x',
  '__proto__',
  'constructor',
  '\u0001hub',
  '\u0001presence/p',
  true,
  [],
  ['a'],
  {},
  { toString: () => 'p1' },
  () => {},
  Symbol('s'),
  10n,
  'x'.repeat(100_000),
  '\ud800',
  'e\u0301',
  '../p1',
  'p1\n',
  '%00',
  new Date(Number.NaN),
  new Map(),
  Object.create(null),
]
const nameOf = (value: unknown) =>
  typeof value === 'string'
    ? JSON.stringify(value.slice(0, 20))
    : `${typeof value} ${Object.prototype.toString.call(value)}`

/** The methods without their types. */
type Untyped = Record<string, (...args: unknown[]) => unknown>

describe('whatever a call or a request is given', () => {
  let hub: EventHub
  let clock: VirtualClock
  let wrong: string[]
  beforeEach(() => {
    ;({ hub, clock } = testHub({ presence: true, limits: false }))
    wrong = []
  })
  afterEach(async () => {
    await end(hub, clock)
    expect(wrong).toEqual([])
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  /** That it works, or throws or rejects with a code, and never throws where it returns a promise. */
  async function call(what: string, task: () => unknown, isAsync = false): Promise<void> {
    const judge = (how: string, { code }: { code?: unknown }) => {
      if (typeof code !== 'string' || (how === 'throws' && isAsync)) wrong.push(`${what} ${how} without a word of ours`)
    }
    try {
      // What is accepted need not be waited for.
      void Promise.resolve(task()).catch((error) => judge('rejects', error))
      await clock.settle()
    } catch (error) {
      judge('throws', error as { code?: unknown })
    }
  }

  for (const value of VALUES) {
    const name = nameOf(value)

    it(`[P1 P2 P3 P4] ${name}: publishing rejects with a code, or publishes`, async () => {
      const event = { type: 'entity.updated', projectId: 'p', entity: 'document', id: 'd' }
      const { publish, ...methods } = Object.fromEntries(
        ['publish', 'project'].map((method) => [method, (hub as unknown as Untyped)[method]?.bind(hub)]),
      ) as Untyped
      await call('publish', () => publish?.(value), true)
      await call('publish, options', () => publish?.(event, value), true)
      for (const field of [
        ...Object.keys(event),
        'data',
        'channel',
        'userId',
        'version',
        'timestamp',
        'ids',
        'versions',
      ])
        await call(`publish, ${field}`, () => publish?.({ ...event, [field]: value }), true)
      for (const option of ['audience', 'conflateKey', 'client'])
        await call(`publish, ${option}`, () => publish?.(event, { [option]: value }), true)
      await call('publish, users', () => publish?.(event, { audience: { users: value } }), true)
      await call('project', () => methods.project?.(value))
      const project = hub.project('p') as unknown as Untyped
      for (const method of ['created', 'updated', 'deleted', 'batch', 'emit']) {
        await call(`${method}`, () => project[method]?.(value, value, value, value), true)
        const data = method === 'deleted' ? [] : [{}]
        await call(`${method}, options`, () => project[method]?.('a:b', 'd', ...data, value), true)
      }
    })

    it(`[P3 N11] ${name}: every other call throws or rejects with a code, or works`, async () => {
      const untyped = hub as unknown as Untyped
      for (const method of ['cursor', 'presence', 'disconnect', 'revoke', 'clusterStats'])
        await call(method, () => untyped[method]?.(value), true)
      for (const method of ['activeUsers', 'connections']) await call(method, () => untyped[method]?.(value))
      await call('clusterStats, timeoutMs', () => hub.clusterStats({ timeoutMs: value as number }), true)
      const listen = (...args: unknown[]) => (untyped.listen?.bind(hub)(...args) as (() => void) | undefined)?.()
      await call('listen', () => listen(value, () => {}))
      for (const field of ['projectId', 'type', 'pattern'])
        await call(`listen, ${field}`, () => listen({ projectId: 'p', [field]: value }, () => {}))
      await call('listen, handler', () => listen({ projectId: 'p' }, value))
      await call('listen, options', () => listen({ projectId: 'p' }, () => {}, value))
      await call('close, drainMs', () => hub.close({ drainMs: (value ?? -1) as number }), true)
      if (value !== undefined) await call('close', () => untyped.close?.(value), true)
    })

    it(`[C1 C2 D8] ${name}: authorize is answered with a stream, 401, or an error`, async () => {
      for (const field of ['projectId', 'userId', 'channels', 'expiresAt']) {
        const stream = await open(hub, { projectId: 'p', [field]: value } as never)
        if (![200, 401, 500].includes(stream.status)) wrong.push(`${field}: ${stream.status}`)
        stream.leave()
      }
      expect([401, 500]).toContain((await open(hub, value as never)).status)
      for (const field of ['itself', 'status', 'code', 'message', 'retryAfterMs', 'name', 'cause']) {
        const authorize = () => {
          throw field === 'itself' ? value : Object.assign(new HubError('FORBIDDEN', 'no'), { [field]: value })
        }
        for (const refuse of ['status', 'stream'] as const) {
          const { status } = await open(hub, null, { authorize, refuse })
          if (status !== 200 && (status < 400 || status > 599)) wrong.push(`thrown, ${field}: ${status}`)
        }
      }
    })

    if (typeof value !== 'string') continue
    it(`[C3 C6 C10] ${name}: a request is answered, and is no error of the server`, async () => {
      for (const header of ['x-project-id', 'last-event-id', 'accept', 'origin', 'accept-encoding']) {
        const options = {
          headers: { [header]: value },
          cors: { origins: ['https://a.example'] },
          compression: 'gzip',
        } as const
        const stream = await open(hub, { projectId: 'p' }, options)
        if (![200, 403, 406].includes(stream.status)) wrong.push(`${header}: ${stream.status}`)
        if (stream.headers['access-control-allow-origin'] !== undefined) wrong.push(`${header}: allowed`)
        stream.leave()
      }
      for (const path of [`/s?channels=${value}`, `/s?lastEventId=${value}`, value, `?${value}`]) {
        const stream = await open(hub, { projectId: 'p' }, { path })
        if (![200, 400].includes(stream.status)) wrong.push(`${path.slice(0, 40)}: ${stream.status}`)
        stream.leave()
      }
      expect((await open(hub, { projectId: 'p' }, { method: value })).status).toBe(405)
    })
  }
})
