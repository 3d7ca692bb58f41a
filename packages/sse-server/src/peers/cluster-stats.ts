import { quote } from '@entitycast/sse-protocol'
import { HubError } from '../hub/error'
import type { HubStats } from '../hub/tally'

/** One hub of a cluster, and what it has done and holds. */
export interface InstanceStats {
  /** Random, and new with each start. */
  readonly instanceId: string
  readonly stats: HubStats
}

/** Sums over the instances that answered. What only makes sense for one instance is left out. */
export type ClusterTotals = Pick<
  HubStats,
  | 'connections'
  | 'lagging'
  | 'retainedBytes'
  | 'published'
  | 'publishFailures'
  | 'writes'
  | 'bytesWritten'
  | 'opened'
  | 'closed'
  | 'resyncs'
  | 'refused'
>

/** What all hubs on one adapter have done and hold. */
export interface ClusterStats {
  /** Those that answered in time, this one first. */
  readonly instances: readonly InstanceStats[]
  /** Ids of those that were heard of lately, and did not answer in time. */
  readonly missing: readonly string[]
  readonly totals: ClusterTotals
}

const SUMS = [
  'connections',
  'lagging',
  'retainedBytes',
  'published',
  'publishFailures',
  'writes',
  'bytesWritten',
  'opened',
] as const
const COUNTS = ['closed', 'resyncs', 'refused'] as const

/** @throws HubError `INVALID_OPTION` */
export function assertTimeoutMs(timeoutMs: number): void {
  if (Number.isFinite(timeoutMs) && timeoutMs >= 1 && timeoutMs <= 60_000) return
  throw new HubError('INVALID_OPTION', `timeoutMs is ${quote(timeoutMs)}; it must be 1 to 60,000 milliseconds`)
}

/** Puts the answers together. An answer comes from outside: what is no number counts as none. */
export function clusterStats(instances: readonly InstanceStats[], missing: readonly string[]): ClusterStats {
  const totals: Record<string, number | Record<string, number>> = {}
  for (const name of SUMS) totals[name] = instances.reduce((sum, { stats }) => sum + number(stats[name]), 0)
  for (const name of COUNTS) {
    const counts = new Map<string, number>()
    for (const { stats } of instances) {
      for (const [key, value] of Object.entries(stats[name] ?? {}))
        counts.set(key, (counts.get(key) ?? 0) + number(value))
    }
    totals[name] = Object.fromEntries(counts)
  }
  return { instances, missing, totals: totals as unknown as ClusterTotals }
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}
