import type { EventDefinitions } from '@entitycast/sse-protocol'
import { MemoryAdapter } from './adapters/memory'
import { Hub } from './hub/hub'
import type { EventHubOptions } from './hub/options'

/**
 * Publishes entity changes to every page that shows them. Without an adapter the log is in this process's memory: nothing else to run.
 *
 * @example
 * const hub = new EventHub()
 * app.get('/api/events/stream', eventStream(hub, { authorize: async (req) => grantOf(await verify(req)) }))
 * await hub.project('proj_123').updated('document', 'doc_456', { embeddedChunks: 5 })
 */
export class EventHub<Definitions extends EventDefinitions = EventDefinitions> extends Hub<Definitions> {
  /** @throws HubError `INVALID_OPTION`: what is wrong with which option, and what it must be */
  constructor(options: EventHubOptions<Definitions> = {}) {
    super(options?.adapter ?? new MemoryAdapter(options?.ports ?? {}), options)
  }
}
