import type { EntityName, EventDefinitions, EventForPattern, EventForType } from '@entitycast/sse-protocol'
import type { QueryKey } from '@tanstack/query-core'

/** A key, or the beginning of keys; or a function of the event that says it, and `undefined` for none. */
export type EventKey<Event> = QueryKey | ((event: Event) => QueryKey | undefined)

/** What an event does to the cache. */
export interface QueryRule<Event> {
  /** The queries that are stale now. Those that somebody looks at are loaded again, once for a burst of events. */
  invalidate?: EventKey<Event>
  /** The queries whose data is changed in place, where there is any. */
  patch?: EventKey<Event>
  /**
   * The data after the event; the very same where nothing changes, `undefined` where it has to be loaded again, and so where it throws. It is
   * not called where the row's `version` is as new as the event's. Default: `applyEntityEvent`, for an array of rows, or for one row, with an
   * `id` each; what is neither (the pages of an infinite query, a count) is loaded again.
   */
  update?(data: unknown, event: Event): unknown
}

/** One rule, or several. */
export type QueryRules<Event> = QueryRule<Event> | readonly QueryRule<Event>[]

/** The patterns that can match, as keys: `PatternOf` has them as an editor is to offer them. */
type PatternKey<Definitions extends EventDefinitions> =
  string extends EntityName<Definitions> ? string : '*' | `${EntityName<Definitions>}:${string}`

/** Which events do what: by pattern for entity events, by type for any. */
export interface QueryMap<Definitions extends EventDefinitions, Types extends string = never> {
  patterns?: { [Pattern in PatternKey<Definitions>]?: QueryRules<EventForPattern<Definitions, Pattern>> }
  types?: { [Type in Types]: QueryRules<EventForType<Definitions, Type>> }
}
