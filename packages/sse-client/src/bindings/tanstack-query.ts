import type { EventSubscriber, Unsubscribe } from '@entitycast/sse-client'
import type { EventDefinitions, PatternOf, ProjectEvent, TypePatternOf } from '@entitycast/sse-protocol'
import type { Query, QueryClient } from '@tanstack/query-core'
import { dataAfter, standingOf } from './tanstack-query-rows'
import type { EventKey, QueryMap, QueryRule } from './tanstack-query-rules'

export type { EventKey, QueryMap, QueryRule, QueryRules } from './tanstack-query-rules'

export interface BindOptions {
  /** Milliseconds in which invalidations are joined. Default 50. */
  windowMs?: number
  /** Once there has been no stream for `afterMs`, load everything that is looked at again, each `everyMs`. Default: false. */
  poll?: { afterMs: number; everyMs: number } | false
}

/** More patches than this are not kept for a request that is on its way: it is made once more instead. */
const MAX_WAITING = 1_000

/**
 * Keeps a query cache equal to what the server says, until the result is called.
 *
 * Data that is not cached is never made, and nothing becomes older: a request that was on its way when an event came may have been answered
 * before it. What can be compared by version is patched again on top of the answer; for everything else the request is made once more.
 * A resync loads again whatever is looked at, once.
 *
 * @example
 * const unbind = bindQueryClient(updates, queryClient, {
 *   patterns: { 'document:*': { patch: ['documents'], invalidate: ({ id }) => ['document-history', id] } },
 *   types: { 'metrics:updated': { invalidate: ['metrics'] } },
 * })
 */
export function bindQueryClient<
  Definitions extends EventDefinitions,
  const Types extends TypePatternOf<Definitions> = never,
>(
  subscriber: EventSubscriber<Definitions>,
  queryClient: QueryClient,
  map: QueryMap<Definitions, Types>,
  { windowMs = 50, poll = false }: BindOptions = {},
): Unsubscribe {
  const cache = queryClient.getQueryCache()
  /** By the query's hash: what waits for a request that is on its way. */
  const waiting = new Map<string, { again: boolean; patches: (() => void)[] }>()
  const stale = new Set<Query>()
  let flushTimer: ReturnType<typeof setTimeout> | undefined
  let pollTimer: ReturnType<typeof setTimeout> | undefined

  const afterFetch = ({ queryHash }: Query) => {
    const found = waiting.get(queryHash) ?? { again: false, patches: [] }
    waiting.set(queryHash, found)
    return found
  }
  const invalidate = (query: Query) => {
    // To cancel it instead would starve a slow query under a stream of events.
    if (query.state.fetchStatus === 'fetching') afterFetch(query).again = true
    else {
      stale.add(query)
      flushTimer ??= setTimeout(flush, windowMs)
    }
  }
  const flush = (others: readonly Query[] = []) => {
    const queries = new Set([...stale, ...others])
    stale.clear()
    flushTimer = clearTimeout(flushTimer) as undefined
    // What somebody has begun to load since is new enough, and not loaded twice.
    const predicate = (query: Query) => queries.has(query)
    return queryClient.invalidateQueries({ predicate }, { cancelRefetch: false }).catch(() => {})
  }
  const sweep = () => cache.getAll().forEach(invalidate)

  const patch = (query: Query, rule: QueryRule<ProjectEvent>, event: ProjectEvent, errors: unknown[] = []) => {
    const { data, dataUpdatedAt: updatedAt, isInvalidated } = query.state
    if (data === undefined || standingOf(data, event) === 'old') return
    const next = dataAfter(event, data, rule, errors)
    if (next === undefined) invalidate(query)
    else if (next !== data) {
      // A patch makes nothing fresh that was stale.
      queryClient.setQueryData(query.queryKey, next, { updatedAt })
      if (isInvalidated) query.invalidate()
    }
  }
  const patchAgain = (query: Query, rule: QueryRule<ProjectEvent>, event: ProjectEvent) =>
    standingOf(query.state.data, event) === 'unknown' ? invalidate(query) : patch(query, rule, event)
  const find = (key: EventKey<ProjectEvent> | undefined, event: ProjectEvent) => {
    const queryKey = typeof key === 'function' ? key(event) : key
    return queryKey ? cache.findAll({ queryKey }) : []
  }
  const apply = (rules: unknown) => (event: ProjectEvent) => {
    const errors: unknown[] = []
    for (const rule of [rules].flat() as QueryRule<ProjectEvent>[]) {
      for (const query of find(rule.patch, event)) {
        if (query.state.fetchStatus === 'fetching') {
          const after = afterFetch(query)
          if (after.patches.length < MAX_WAITING) after.patches.push(() => patchAgain(query, rule, event))
          else after.again = true
        }
        patch(query, rule, event, errors)
      }
      find(rule.invalidate, event).forEach(invalidate)
    }
    if (errors.length > 0) throw errors[0]
  }
  const fetched = (query: Query, succeeded: boolean) => {
    const after = waiting.get(query.queryHash)
    if (!after || query.state.fetchStatus !== 'idle') return
    waiting.delete(query.queryHash)
    if (after.again) invalidate(query)
    if (succeeded) for (const run of after.patches) run()
  }
  const watch = () => {
    if (subscriber.state === 'connected') pollTimer = clearTimeout(pollTimer) as undefined
    else if (poll) pollTimer ??= setTimeout(pollNow, poll.afterMs)
  }
  const pollNow = () => {
    sweep()
    if (poll) pollTimer = setTimeout(pollNow, poll.everyMs)
  }

  const stops = [
    ...Object.entries(map.patterns ?? {}).map(([pattern, rules]) =>
      subscriber.subscribe(pattern as PatternOf<Definitions>, apply(rules) as () => void),
    ),
    ...Object.entries(map.types ?? {}).map(([type, rules]) =>
      subscriber.on(type as TypePatternOf<Definitions>, apply(rules) as () => void),
    ),
    // The subscriber waits for it, so that nobody is told that all is well before the rows are there.
    subscriber.onResync(async () => {
      sweep()
      await flush(cache.getAll())
      // What was on its way has its answer, perhaps from before: it is made once more.
      await flush()
    }),
    subscriber.onChange(watch),
    cache.subscribe((event) => {
      if (event.type === 'removed') waiting.delete(event.query.queryHash)
      if (event.type === 'updated') fetched(event.query, event.action.type === 'success')
    }),
    () => clearTimeout(flushTimer),
    () => clearTimeout(pollTimer),
  ]
  watch()
  return () => {
    for (const stop of stops.splice(0)) stop()
  }
}
