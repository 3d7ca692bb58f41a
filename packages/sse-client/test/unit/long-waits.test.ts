import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { nodePlatform } from '../../src/bindings/node'
import { settle } from '../../src/bindings/testing-clock'
import { EventSubscriber, type SubscriberOptions } from '../../src/index'
import { at, connected, resync, updated } from '../support/frames'
import { Network } from '../support/network'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

const NEVER = [2 ** 31, Number.POSITIVE_INFINITY]

/** A subscriber with the platform's clock, which runs what is longer than 2^31 ms at once. */
function open(options: SubscriberOptions) {
  const network = new Network()
  let hide: ((hidden: boolean) => void) | undefined
  const page = ({ hidden }: { hidden(hidden: boolean): void }) => {
    hide = hidden
    return () => {}
  }
  const subscriber = new EventSubscriber('https://app.test/events', { fetch: network.fetch, ...options }, { page })
  subscriber.connect()
  return { subscriber, network, hide: () => hide?.(true) }
}

test.each(NEVER)('a hidden page that may stay for %d ms stays', async (closeAfterMs) => {
  const { subscriber, hide } = open({ hidden: { closeAfterMs } })
  hide()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(subscriber.pauses).toEqual([])
  subscriber.close()
  expect(vi.getTimerCount()).toBe(0)
})

test.each(NEVER)('handlers that may take %d ms are waited for', async (resyncTimeoutMs) => {
  const { subscriber, network } = open({ resyncTimeoutMs })
  const events: unknown[] = []
  subscriber.on('*', ({ id }) => events.push(id))
  subscriber.onResync(() => new Promise(() => {}))
  await settle()
  network.last.stream(connected({ id: at(0), heartbeatMs: 0 }), resync('expired', at(5)), updated('a', at(6)))
  await vi.advanceTimersByTimeAsync(10_000)
  expect([subscriber.state, events]).toEqual(['resyncing', []])
  subscriber.close()
  expect(vi.getTimerCount()).toBe(0)
})

test.each(NEVER)('the clock of a program waits for %d ms', async (delayMs) => {
  const task = vi.fn()
  const cancel = nodePlatform().clock.after(delayMs, task)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(task).not.toHaveBeenCalled()
  cancel()
})
