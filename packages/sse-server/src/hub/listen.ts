import { decodeEvent, HandlerIndex, type ProjectEvent, quote, type ResyncReason } from '@entitycast/sse-protocol'
import type { Feed, FeedListener } from '../feed/feed'
import { foreignAfter } from '../feed/foreign'
import type { Clock } from '../seams/ports'
import { HubError } from './error'

/** A log that cannot be opened is tried again after this, in milliseconds. */
const AGAIN_MS = 1_000

/** Which events a listener inside the server wants: of one project; by type pattern, by pattern, or all. */
export type ListenFilter =
  | { projectId: string; type?: string; pattern?: undefined }
  | { projectId: string; pattern: string; type?: undefined }

export interface ListenOptions {
  /** Events may have been missed. */
  onResync?: ((reason: ResyncReason) => unknown) | undefined
}

interface Surroundings {
  open(projectId: string): Promise<Feed>
  /** A handler or the log has failed. */
  failed(error: unknown): void
  /** Whether the hub is at its end. */
  ended(): boolean
  readonly clock: Clock
}

const FIELDS = ['projectId', 'type', 'pattern']

/** A misspelt `type` would be every type. */
function assertListening(filter: ListenFilter, handler: unknown, options: ListenOptions): void {
  for (const name in filter) {
    if (!FIELDS.includes(name))
      throw new HubError('INVALID_FILTER', `${name} is not a field of the filter; there are ${FIELDS.join(', ')}`)
  }
  if (filter.type !== undefined && filter.pattern !== undefined)
    throw new HubError('INVALID_FILTER', 'the filter has a type and a pattern; listen once for each')
  if (typeof handler !== 'function')
    throw new HubError('INVALID_OPTION', `handler is ${quote(handler)}; it must be a function`)
  if (typeof options !== 'object' || options === null)
    throw new HubError('INVALID_OPTION', `options is ${quote(options)}; it must be an object, or be left out`)
  for (const name in options) {
    if (name !== 'onResync') throw new HubError('INVALID_OPTION', `${name} is not an option; there is onResync`)
  }
  const { onResync } = options
  if (onResync !== undefined && typeof onResync !== 'function')
    throw new HubError('INVALID_OPTION', `onResync is ${quote(onResync)}; it must be a function, or be left out`)
}

/**
 * A reader inside the server, until the result is called.
 *
 * @throws ProtocolError `INVALID_PATTERN`
 * @throws HubError `INVALID_FILTER`, `INVALID_OPTION`
 */
export function listen(
  filter: ListenFilter,
  handler: (event: ProjectEvent) => unknown,
  options: ListenOptions,
  { open, failed, ended, clock }: Surroundings,
): () => void {
  assertListening(filter, handler, options)
  const { projectId, type, pattern } = filter
  const index = new HandlerIndex()
  // An async handler's rejection is the handler's failure like any other.
  const run = (event: ProjectEvent) => void Promise.resolve(handler(event)).catch(failed)
  if (pattern === undefined) index.addType(type ?? '*', run)
  else index.addPattern(pattern, run)
  const listener: FeedListener = {
    entry: ({ offset, record }) => {
      let event: ProjectEvent
      try {
        event = decodeEvent(record.type, record.data, projectId)
      } catch (thrown) {
        failed(foreignAfter(offset - 1, thrown))
        return
      }
      index.dispatch(event, failed)
    },
    resync: (reason) => guard(() => void Promise.resolve(options.onResync?.(reason)).catch(failed)),
  }
  const guard = (task: () => void) => {
    try {
      task()
    } catch (error) {
      failed(error)
    }
  }
  let feed: Feed | undefined
  let stopped = false
  const begin = (missed: boolean) => {
    open(projectId).then(
      (opened) => {
        if (stopped) return
        feed = opened
        feed.listeners.add(listener)
        if (missed) listener.resync('broker-gap')
      },
      (error) => {
        if (stopped || ended()) return
        failed(error)
        clock.after(AGAIN_MS, () => stopped || ended() || begin(true))
      },
    )
  }
  begin(false)
  return () => {
    stopped = true
    feed?.listeners.delete(listener)
  }
}
