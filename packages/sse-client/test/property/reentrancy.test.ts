import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { storedCursor } from '../../src/index'
import { at, closing, connected, heartbeat, resync, updated } from '../support/frames'
import { openPage } from '../support/page'

const SEEDS = 80
const STEPS = 60
/** So often something acts in one run. */
const ACTS = 60
const DAY_MS = 86_400_000

const rejections: unknown[] = []
const note = (reason: unknown) => rejections.push(reason)

beforeEach(() => {
  process.on('unhandledRejection', note)
  vi.spyOn(console, 'error').mockReturnValue()
})

afterEach(() => {
  process.off('unhandledRejection', note)
  vi.restoreAllMocks()
})

/** The same numbers for the same seed. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Whatever the application gives a subscriber closes, connects, pauses and throws, also inside each other, while the server does anything. */
async function run(seed: number): Promise<void> {
  const random = chance(seed)
  const oneOf = <Value>(values: readonly Value[]) => values[Math.floor(random() * values.length)] as Value
  let [identity, depth, left, offset] = ['ada', 0, ACTS, 10]
  const act = () => {
    if (depth > 2 || left-- <= 0 || random() > 0.25) return
    depth++
    try {
      oneOf([
        () => page.subscriber.close(),
        () => page.subscriber.connect(),
        () => page.subscriber.reconnect(),
        () => page.subscriber.pause('disabled'),
        () => page.subscriber.resume('disabled'),
        () => page.subscriber.on('*', act)(),
        () => {
          identity = oneOf(['ada', 'bob'])
        },
        () => {
          throw new Error('thrown by the application')
        },
      ])()
    } finally {
      depth--
    }
  }
  const page: ReturnType<typeof openPage> = openPage(
    {
      headers: async () => {
        act()
        return {}
      },
      identity: () => {
        act()
        return identity
      },
      shouldRetry: () => {
        act()
        return oneOf([undefined, true])
      },
      cursorStore: storedCursor({ get: async () => act() as undefined, set: act, remove: act }),
      hidden: oneOf(['keep', 'close', { closeAfterMs: 3_000 }] as const),
      resyncTimeoutMs: 5_000,
    },
    { random },
  )
  const { subscriber, network, clock } = page
  subscriber.on('*', act)
  subscriber.onError(act)
  subscriber.onState(act)
  subscriber.onChange(act)
  subscriber.onResync(() => {
    act()
    return oneOf([
      () => undefined,
      () => Promise.resolve(),
      () => Promise.reject(new Error('rejected by the application')),
      () => new Promise(() => {}),
      () => new Promise<void>((resolve) => clock.after(1_000, resolve)),
    ])()
  })
  subscriber.connect()

  for (let step = 0; step < STEPS; step++) {
    await page.settle()
    // A stream, and the one that is to take its place.
    expect(network.open).toBeLessThanOrEqual(2)
    const steps = subscriber.dump()
    expect(steps.filter(({ from }, i) => i > 0 && from !== steps[i - 1]?.to)).toEqual([])
    const last = network.exchanges.at(-1)
    const greeting = connected({
      id: last?.header('last-event-id') ?? at(offset),
      heartbeatMs: oneOf([0, 1_000, 15_000]),
      ...(random() < 0.3 && { expiresInMs: 20_000 }),
    })
    await oneOf([
      () => last?.stream(greeting, updated('a', at(++offset))),
      () => last?.stream(greeting, updated('a', at(++offset)), updated('b')),
      () => last?.stream(greeting, updated('a'), resync('expired', at(++offset)), updated('b', at(++offset))),
      () => last?.stream(greeting, updated('a', at(++offset)), closing('expired')),
      () => last?.answer(oneOf([401, 403, 404, 409, 429, 500, 503]), { 'Retry-After': oneOf(['5', '99999999']) }),
      () => last?.end(),
      () => last?.fail(new TypeError('network error')),
      () => last?.send(heartbeat(at(offset))),
      () => page.wake(random() < 0.5),
      () => page.hide(random() < 0.5),
      () => page.leave(random() < 0.5),
      () => clock.sleep(oneOf([-DAY_MS, DAY_MS, 60_000])),
      () => clock.advance(100),
      () => clock.advance(1_000),
      () => clock.advance(10_000),
      () => clock.advance(60_000),
    ])()
  }

  left = 0
  subscriber.close()
  await page.settle()
  const requests = network.exchanges.length
  await clock.advance(200_000)
  const { state } = subscriber
  expect({ state, open: network.open, timers: clock.pending, listening: page.listening }).toEqual({
    state: 'disconnected',
    open: 0,
    timers: 0,
    listening: 0,
  })
  expect(network.exchanges).toHaveLength(requests)
}

test('[K7, S8] whoever is called may close, connect, pause and throw, inside each other: one stream, and nothing after close()', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    await run(seed).catch((cause) => {
      throw new Error(`seed ${seed}`, { cause })
    })
  }
  await new Promise((resolve) => setImmediate(resolve))
  expect(rejections).toEqual([])
})
