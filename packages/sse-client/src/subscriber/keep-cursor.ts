import type { EventDefinitions } from '@entitycast/sse-protocol'
import { type Clock, systemClock } from '../seams/ports'
import { isCursor } from './delivery'
import type { EventSubscriber, Unsubscribe } from './subscriber'

/** Where a cursor is kept over a reload: any storage, sync or async. */
export interface CursorStore {
  get(): string | null | undefined | Promise<string | null | undefined>
  set(cursor: string): unknown
  remove(): unknown
}

/**
 * A place in the tab's `sessionStorage`. The key must name the stream and who looks at it, so that users who share a tab never share a
 * cursor. Where there is no storage, nothing is kept.
 */
export function sessionCursor(key: string): CursorStore {
  return {
    get: () => globalThis.sessionStorage?.getItem(key),
    set: (cursor) => globalThis.sessionStorage?.setItem(key, cursor),
    remove: () => globalThis.sessionStorage?.removeItem(key),
  }
}

/** The cursor that is kept, for `since`; none where there is none, or the store does not work. Never rejects. */
export async function keptCursor(store: CursorStore): Promise<string | undefined> {
  try {
    const cursor = await store.get()
    return isCursor(cursor) ? cursor : undefined
  } catch {
    return undefined
  }
}

/**
 * Keeps the subscriber's cursor in a store, at most once in `throttleMs`, and at once when the stream is lost or closed. Only of use where
 * what the page shows is kept too: the stream goes on right after the cursor, and whoever loads the data anew has a newer one. A cursor
 * that is too old by then leads to a resync as ever. A store that fails is written to again with the next event.
 *
 * @example
 * const store = sessionCursor(`updates:${user.id}:${projectId}`)
 * const updates = new EventSubscriber(url, { projectId, headers, since: await keptCursor(store) })
 * const stop = keepCursor(updates, store)
 */
export function keepCursor<Definitions extends EventDefinitions>(
  updates: EventSubscriber<Definitions>,
  store: CursorStore,
  { throttleMs = 1_000, clock = systemClock }: { throttleMs?: number; clock?: Clock } = {},
): Unsubscribe {
  let written: string | undefined
  let cancel: (() => void) | undefined
  let queue = Promise.resolve()
  const write = () => {
    cancel?.()
    cancel = undefined
    const { cursor } = updates
    if (cursor === written) return
    written = cursor
    // One after the other, or an async store could end with the older one.
    queue = queue.then(async () => {
      try {
        await (cursor === undefined ? store.remove() : store.set(cursor))
      } catch {
        written = undefined
      }
    })
  }
  const offs = [
    updates.on('*', () => {
      cancel ??= clock.after(throttleMs, write)
    }),
    updates.onChange(write),
  ]
  return () => {
    for (const off of offs) off()
    write()
  }
}
