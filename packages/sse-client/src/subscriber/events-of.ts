import type { EventDefinitions, EventForPattern, PatternOf } from '@entitycast/sse-protocol'
import { SubscriberError } from './error'
import { whenClosed } from './ready'
import type { EventSubscriber } from './subscriber'

export interface EventsOfOptions {
  /** Ends the loop. */
  signal?: AbortSignal | undefined
  /** So many events wait for the loop at most. Default 1,000. */
  limit?: number | undefined
}

const DEFAULT_LIMIT = 1_000

/**
 * The entity events that a pattern names, for a loop. It listens from the call on; it ends when the subscriber is closed. A loop that is
 * slower than the events is told so: after the last event that could wait it throws `QUEUE_OVERFLOW`, so that nothing is missed in silence.
 * Resyncs are not in it: they come to `onResync`, before the events behind them are queued.
 *
 * @throws SubscriberError `QUEUE_OVERFLOW`, or what the subscriber was stopped by; ProtocolError `INVALID_PATTERN`
 * @example
 * for await (const event of eventsOf(updates, 'document:*', { signal })) await index(event)
 */
export function eventsOf<Definitions extends EventDefinitions, Pattern extends PatternOf<Definitions>>(
  updates: EventSubscriber<Definitions>,
  pattern: Pattern,
  { signal, limit = DEFAULT_LIMIT }: EventsOfOptions = {},
): AsyncIterableIterator<EventForPattern<Definitions, Pattern>> {
  type Event = EventForPattern<Definitions, Pattern>
  const queue: Event[] = []
  const waiting: { resolve(result: IteratorResult<Event>): void; reject(error: unknown): void }[] = []
  let ended = false
  let failure: SubscriberError | undefined

  const end = (error?: SubscriberError) => {
    if (ended) return
    ended = true
    for (const off of offs) off()
    signal?.removeEventListener('abort', abort)
    failure = error
    for (const one of waiting.splice(0)) void next().then(one.resolve, one.reject)
  }
  const abort = () => end()
  const next = async (): Promise<IteratorResult<Event>> => {
    const event = queue.shift()
    if (event) return { done: false, value: event }
    if (failure) {
      const error = failure
      failure = undefined
      throw error
    }
    if (ended) return { done: true, value: undefined }
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  }
  const offs = [
    updates.subscribe(pattern, (event) => {
      const first = waiting.shift()
      if (first) first.resolve({ done: false, value: event })
      else if (queue.length < limit) queue.push(event)
      else end(new SubscriberError('QUEUE_OVERFLOW', `the loop is over ${limit} events behind`, { retrying: false }))
    }),
    whenClosed(updates, end),
  ]
  signal?.addEventListener('abort', abort)
  if (signal?.aborted) end()

  return {
    next,
    // A loop that is left lets go of everything.
    return: async () => {
      queue.length = 0
      end()
      failure = undefined
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
