import type { EventSubscriber } from '@entitycast/sse-client'
import { createFakeServer, type FakeServer } from '@entitycast/sse-client/testing'
import type { ProjectEvent } from '@entitycast/sse-protocol'
import { describe, expect, it, onTestFinished } from 'vitest'

/** What a component is given: two readers of the state, one handler of events and one of resyncs. */
export interface Component {
  readonly subscriber: EventSubscriber
  readonly pattern: string
  readonly handler: (event: ProjectEvent) => void
  readonly onResync: (reason: string) => void
}

/** A component that is on the screen. */
export interface Mounted {
  /** The state as each of the two readers shows it. */
  shown(): string[]
  /** Gives the component another handler. */
  handle(handler: (event: ProjectEvent) => void): void | Promise<void>
  unmount(): void | Promise<void>
}

/** One framework. */
export interface Binding {
  readonly name: string
  mount(component: Component): Mounted | Promise<Mounted>
  /** Runs a change from outside, and waits until the screen shows it. Default: the change itself. */
  act?(change: () => Promise<void>): Promise<void>
}

const REGISTRATIONS = ['subscribe', 'on', 'onResync', 'onChange', 'onState'] as const

/** Counts what is registered on a subscriber; `before` runs right before a registration. */
function counted(subscriber: EventSubscriber, before: (name: string) => unknown) {
  const live = { subscribe: 0, on: 0, onResync: 0, onChange: 0, onState: 0 }
  for (const name of REGISTRATIONS) {
    const register = subscriber[name].bind(subscriber) as (...args: unknown[]) => () => void
    const own = (...args: unknown[]) => {
      before(name)
      const off = register(...args)
      let isOn = true
      live[name]++
      return () => {
        if (isOn) live[name]--
        isOn = false
        off()
      }
    }
    Object.assign(subscriber, { [name]: own })
  }
  return live
}

/** What every binding has to do. There are no switches: a framework that cannot do one of these has no binding. */
export function bindingSuite({ name, mount, act = (change) => change() }: Binding): void {
  async function start({ before = (_: string): unknown => undefined } = {}) {
    const server: FakeServer = createFakeServer()
    const unhandled: unknown[] = []
    const onUnhandled = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', onUnhandled)
    let wakes = 0
    const { ports } = server
    const listenToPage = ports.wakes
    const countedWakes: typeof listenToPage = (onWake) => {
      const off = listenToPage(onWake)
      wakes++
      return () => {
        wakes--
        off()
      }
    }
    Object.assign(ports, { wakes: countedWakes })
    /** Until then the request is not made: it is `connecting` for as long as the test wants. */
    let answer = () => {}
    const asked = new Promise<void>((resolve) => {
      answer = resolve
    })
    const subscriber = server.subscriber({ headers: () => asked.then(() => ({})) })
    subscriber.onError(() => {})
    const live = counted(subscriber, before)
    const got: unknown[] = []
    const resyncs: string[] = []
    const show = () =>
      mount({
        subscriber,
        pattern: 'document:*',
        handler: (event) => got.push(event.id),
        onResync: (reason) => resyncs.push(reason),
      })
    onTestFinished(async () => {
      server.close()
      // A rejection is unhandled once the turn is over.
      await new Promise((resolve) => setImmediate(resolve))
      process.off('unhandledRejection', onUnhandled)
      expect({ unhandled, timers: server.clock.pending, wakes }).toEqual({ unhandled: [], timers: 0, wakes: 0 })
    })
    const open = () => {
      answer()
      return server.connect(subscriber)
    }
    return { server, subscriber, live, got, resyncs, show, open }
  }
  const updated = (id: string) => ({ type: 'entity.updated', entity: 'document', id }) as const
  const total = (live: Record<string, number>) => Object.values(live).reduce((sum, count) => sum + count, 0)

  describe(`[binding] ${name}`, () => {
    it('[binding] a component makes one subscription for each thing it asks for, and one that is gone has left nothing', async () => {
      const { server, subscriber, live, got, show, open } = await start()
      const mounted = await show()
      expect({ events: live.subscribe + live.on, resyncs: live.onResync }).toEqual({ events: 1, resyncs: 1 })
      expect(live.onChange + live.onState).toBeLessThanOrEqual(2)
      await act(open)
      await act(() => server.push(updated('a')))
      await mounted.unmount()
      expect(total(live)).toBe(0)
      const fence = new Promise<void>((resolve) => subscriber.on('test:fence', () => resolve()))
      await act(() => server.push(updated('b'), { type: 'test:fence', data: null }))
      await fence
      expect(got).toEqual(['a'])
    })

    it('[binding] the state follows the connection, and two readers never show two states', async () => {
      const { server, subscriber, show, open } = await start()
      const mounted = await show()
      const seen = async (change: () => Promise<void>) => {
        await act(change)
        const { state } = subscriber.getSnapshot()
        expect(mounted.shown()).toEqual([state, state])
        return state
      }
      expect(mounted.shown()).toEqual(['disconnected', 'disconnected'])
      expect(await seen(async () => subscriber.connect())).toBe('connecting')
      expect(await seen(open)).toBe('connected')
      expect(await seen(() => server.drop())).toBe('reconnecting')
      expect(await seen(() => server.advance(2_000))).toBe('connected')
      expect(await seen(async () => subscriber.close())).toBe('disconnected')
      await mounted.unmount()
    })

    it('[binding] one that comes late shows what is now', async () => {
      const { show, open } = await start()
      await open()
      const mounted = await show()
      expect(mounted.shown()).toEqual(['connected', 'connected'])
      await mounted.unmount()
    })

    it('[binding] a change between the first look and the subscription is shown', async () => {
      const { subscriber, show, open } = await start({
        before: (registration) => ['onChange', 'onState'].includes(registration) && subscriber.connect(),
      })
      const mounted = await show()
      expect(mounted.shown()).toEqual(['connecting', 'connecting'])
      await act(open)
      expect(mounted.shown()).toEqual(['connected', 'connected'])
      await mounted.unmount()
    })

    it('[binding] the handler gets each event that its pattern names once, in order', async () => {
      const { server, got, show, open } = await start()
      const mounted = await show()
      await act(open)
      await act(() => server.push(updated('a'), { ...updated('x'), entity: 'chunk' }, updated('b'), updated('a')))
      expect(got).toEqual(['a', 'b', 'a'])
      await mounted.unmount()
    })

    it('[binding] the newest handler is called, and nothing is subscribed anew for it', async () => {
      const { server, live, got, show, open } = await start()
      const mounted = await show()
      await act(open)
      const newest: unknown[] = []
      await mounted.handle((event) => newest.push(event.id))
      await act(() => server.push(updated('a')))
      expect({ got, newest, events: live.subscribe + live.on }).toEqual({ got: [], newest: ['a'], events: 1 })
      await mounted.unmount()
    })

    it('[binding] a resync reaches the component', async () => {
      const { server, resyncs, show, open } = await start()
      const mounted = await show()
      await act(open)
      await act(() => server.gap('expired'))
      expect(resyncs).toEqual(['expired'])
      await mounted.unmount()
    })

    it('[binding] [K9] a component that takes the place of another, as by hot reload, is the only one that is subscribed', async () => {
      const { server, live, got, show, open } = await start()
      const before = await show()
      await act(open)
      const registered = total(live)
      await before.unmount()
      const mounted = await show()
      expect(total(live)).toBe(registered)
      await act(() => server.push(updated('a')))
      expect(got).toEqual(['a'])
      expect(mounted.shown()).toEqual(['connected', 'connected'])
      await mounted.unmount()
      expect(total(live)).toBe(0)
    })

    it('[binding] [K6] a cut, 503s, silence, sleep, a resync, a handler that fails, a refusal: shown as it is, and nothing is left', async () => {
      const { server, subscriber, live, show, open } = await start()
      const mounted = await show()
      const seen = async (change: () => Promise<void>) => {
        await act(change)
        const { state } = subscriber.getSnapshot()
        expect(mounted.shown()).toEqual([state, state])
        return state
      }
      await seen(open)
      server.status(503, { times: 2 })
      expect(await seen(() => server.drop())).toBe('reconnecting')
      expect(await seen(() => server.advance(10_000))).toBe('connected')
      server.silence()
      expect(await seen(() => server.advance(50_000))).toBe('connected')
      await seen(() => server.sleep(3_600_000))
      expect(await seen(() => server.wake())).toBe('connected')
      await seen(() => server.gap())
      await mounted.handle(() => {
        throw new Error('of the handler')
      })
      expect(await seen(() => server.push(updated('a')))).toBe('connected')
      server.status(403)
      await seen(() => server.drop())
      expect(await seen(() => server.advance(10_000))).toBe('disconnected')
      await mounted.unmount()
      expect([total(live), server.connections]).toEqual([0, 0])
    })
  })
}
