import type { EventHub } from '@entitycast/sse-server'
import { expect, vi } from 'vitest'
import { open, type TestStream } from './stream'

/** A hub on whatever broker. */
export interface BrokerHub {
  readonly hub: EventHub
}

/** Waits for a state of the real world. */
export const eventually = <Result>(check: () => Result | Promise<Result>): Promise<Result> =>
  vi.waitFor(check, { timeout: 30_000, interval: 10 })

/** Resolves when the hub can reach its log. */
export const ready = ({ hub }: BrokerHub) => eventually(() => expect(hub.status()).toBe('ok'))

export const degraded = ({ hub }: BrokerHub) => eventually(() => expect(hub.stats().degraded).toBe(true))

/** 1, 2, 3 … */
export const upTo = (last: number): number[] => Array.from({ length: last }, (_, n) => n + 1)

/** Publishes a named event. */
export const emit = ({ hub }: BrokerHub, data: unknown, projectId = 'p'): Promise<string> =>
  hub.project(projectId).emit('a:b', data)

/** A stream of a project, as a client has it. */
export function stream({ hub }: BrokerHub, projectId: string, lastEventId?: string): Promise<TestStream> {
  return open(hub, { projectId }, { lastEventId })
}

/** What a stream was told in named events, in order. */
export const told = ({ events }: Pick<TestStream, 'events'>): unknown[] => events.map(({ data }) => data.data)
