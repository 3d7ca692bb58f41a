import type { ProjectEvent } from '@entitycast/sse-protocol'
import { settle, VirtualClock } from '../../src/bindings/testing-clock'
import {
  type ConnectionState,
  EventSubscriber,
  type PageListener,
  type ResyncCause,
  type SubscriberError,
  type SubscriberOptions,
} from '../../src/index'
import { type Exchange, Network } from './network'

/** A subscriber in virtual time over a scripted network, and whatever its handlers were told, in order. */
export function openPage(options: SubscriberOptions = {}, { random = () => 0.5 }: { random?: () => number } = {}) {
  const clock = new VirtualClock()
  const network = new Network()
  const wakes = new Set<(restored: boolean) => void>()
  const listeners = new Set<PageListener>()
  const subscriber = new EventSubscriber(
    'https://app.test/api/events/stream',
    { fetch: network.fetch, ...options },
    {
      clock,
      random,
      wakes: (onWake) => {
        wakes.add(onWake)
        return () => wakes.delete(onWake)
      },
      page: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
  )
  const events: ProjectEvent[] = []
  const resyncs: ResyncCause[] = []
  const states: ConnectionState[] = []
  const errors: SubscriberError[] = []
  /** All of it together: an event by its id or type, `resync:<reason>`, a state, `error:<code>`. */
  const story: string[] = []
  subscriber.on('*', (event) => {
    events.push(event)
    story.push(typeof event.id === 'string' ? event.id : event.type)
  })
  subscriber.onResync(({ reason }) => {
    resyncs.push(reason)
    story.push(`resync:${reason}`)
  })
  subscriber.onState((state) => {
    states.push(state)
    story.push(state)
  })
  subscriber.onError((error) => {
    errors.push(error)
    story.push(`error:${error.code}`)
  })

  return {
    subscriber,
    clock,
    network,
    events,
    resyncs,
    states,
    errors,
    story,
    settle,
    get ids(): (string | null | undefined)[] {
      return events.map(({ id }) => id)
    },
    get codes(): string[] {
      return errors.map(({ code }) => code)
    },
    /** How many listen for the page's return. */
    get listening(): number {
      return wakes.size + listeners.size
    },
    async wake(restored = false): Promise<void> {
      for (const onWake of wakes) onWake(restored)
      await settle()
    },
    /** Nobody looks at the page, or somebody does again. */
    async hide(hidden: boolean): Promise<void> {
      for (const listener of listeners) listener.hidden(hidden)
      if (!hidden) await this.wake()
      await settle()
    },
    /** The page goes into the back/forward cache, or comes back from it. */
    async leave(away: boolean): Promise<void> {
      for (const listener of listeners) listener.away(away)
      if (!away) await this.wake(true)
      await settle()
    },
    /** Connects, and answers with a stream that begins with these chunks. */
    async open(...chunks: string[]): Promise<Exchange> {
      subscriber.connect()
      await settle()
      const exchange = network.last.stream(...chunks)
      await settle()
      return exchange
    },
    /** Waits for the next request, for at most a minute and a half, and answers with a stream that begins with these chunks. */
    async reopen(...chunks: string[]): Promise<Exchange> {
      const exchange = await this.next()
      exchange.stream(...chunks)
      await settle()
      return exchange
    },
    /** Waits for the next request, for at most a minute and a half. */
    async next(): Promise<Exchange> {
      const before = network.exchanges.length
      for (let passedMs = 0; network.exchanges.length === before; passedMs += 100) {
        if (passedMs > 90_000) throw new Error('no other request came')
        await clock.advance(100)
      }
      return network.last
    },
    async send(exchange: Exchange, ...chunks: string[]): Promise<void> {
      exchange.send(...chunks)
      await settle()
    },
  }
}
