import { EventSource, type EventSourceOptions } from '@entitycast/sse-client/event-source'
import { expect, onTestFinished } from 'vitest'
import { VirtualClock } from '../../src/bindings/testing-clock'
import { Network } from '../support/network'

export const URL_TEXT = 'http://stream.test/prices?x=1'
export const CONNECTING = 0
export const OPEN = 1
export const CLOSED = 2

/** A source over a network and a clock of the test's, and all that it tells, in order. */
export function open(options: EventSourceOptions = {}) {
  const clock = new VirtualClock()
  const network = new Network()
  const wakes = new Set<(restored: boolean) => void>()
  const source = new EventSource(
    URL_TEXT,
    { fetch: network.fetch, ...options },
    {
      clock,
      random: () => 0.5,
      wakes: (onWake) => {
        wakes.add(onWake)
        return () => wakes.delete(onWake)
      },
    },
  )
  const told: unknown[] = []
  source.addEventListener('open', () => told.push(['open', source.readyState]))
  source.addEventListener('message', ({ data }) => told.push(data))
  source.addEventListener('error', ({ error }) => told.push(['error', source.readyState, error?.code]))
  onTestFinished(() => {
    source.close()
    expect([clock.pending, network.open, wakes.size]).toEqual([0, 0, 0])
  })
  return { clock, network, source, told, wake: (restored: boolean) => [...wakes].map((onWake) => onWake(restored)) }
}
