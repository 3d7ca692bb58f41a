import type { EventHub } from '@entitycast/sse-server'
import { expect } from 'vitest'
import type { StreamClient } from './stream-client'

const ROUNDS = 15

/**
 * Each event must come before the next is published: whatever holds one back until more bytes follow never gets them, and the test
 * times out. Of the times taken the median counts, so that a busy machine's hiccup is not the stream's; and what the machine takes for
 * `bare`, which is there and back without a stream, is not the stream's either.
 */
export async function expectPromptEvents(
  hub: EventHub,
  client: StreamClient,
  bare: () => Promise<unknown> = async () => {},
  projectId = 'p1',
): Promise<void> {
  await client.next('connected')
  const took: number[] = []
  const bareTook: number[] = []
  for (let n = 1; n <= ROUNDS; n++) {
    const start = performance.now()
    await hub.project(projectId).updated('document', 'd1', { n })
    expect((await client.next('entity.updated')).data).toMatchObject({ data: { n } })
    const came = performance.now()
    await bare()
    took.push(came - start)
    bareTook.push(performance.now() - came)
  }
  expect(median(took) - median(bareTook)).toBeLessThan(100)
}

export function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[times.length >> 1] as number
}
