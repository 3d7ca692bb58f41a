import type { EventHub } from '@entitycast/sse-server'
import { expect } from 'vitest'
import type { StreamClient } from './stream-client'

const ROUNDS = 15

/**
 * Each event must come before the next is published: whatever holds one back until more bytes follow never gets them, and the test
 * times out. Of the times taken the median counts, so that a busy machine's hiccup is not the stream's.
 */
export async function expectPromptEvents(hub: EventHub, client: StreamClient, projectId = 'p1'): Promise<void> {
  await client.next('connected')
  const took: number[] = []
  for (let n = 1; n <= ROUNDS; n++) {
    const start = performance.now()
    await hub.project(projectId).updated('document', 'd1', { n })
    expect((await client.next('entity.updated')).data).toMatchObject({ data: { n } })
    took.push(performance.now() - start)
  }
  expect(took.sort((a, b) => a - b)[ROUNDS >> 1]).toBeLessThan(100)
}
