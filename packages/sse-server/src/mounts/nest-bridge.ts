import { type EventInput, parseChannelName, quote } from '@entitycast/sse-protocol'
import type { EventHub } from '@entitycast/sse-server'

/** The part of `eventemitter2` that is used: of its own class, or of another copy of it. */
export interface AnyEmitter {
  onAny(listener: (event: unknown, payload?: unknown) => void): unknown
  offAny(listener: (event: unknown, payload?: unknown) => void): unknown
}

export interface BridgeLogger {
  error(message: string): void
}

/**
 * Carries what an application emits as `events.<projectId>` or `events.<projectId>.<channel>` into the hub. The emitter's name decides
 * about project and channel; an event that says otherwise is refused. Whatever is wrong is logged, and never reaches the emitter's caller.
 *
 * @returns what ends it
 */
export function bridgeEmitter(hub: EventHub, emitter: AnyEmitter, logger: BridgeLogger): () => void {
  const carry = async (event: unknown, payload: unknown): Promise<void> => {
    const name = nameOf(event)
    if (!name?.startsWith('events.')) return
    try {
      await hub.publish(readEvent(name, payload))
    } catch (error) {
      logger.error(`${quote(name)} did not reach the hub: ${error instanceof Error ? error.message : quote(error)}`)
    }
  }
  // Nothing is returned: `emitAsync` would wait for it, and the application's publishers are not to notice us.
  const listener = (event: unknown, payload?: unknown): void => void carry(event, payload)
  emitter.onAny(listener)
  return () => void emitter.offAny(listener)
}

/**
 * Whether an injection token is eventemitter2's class. It is known by its shape and not imported: the package is optional, several copies
 * of it are normal, and an `import()` from CommonJS fails under jest.
 */
export function isEmitterToken(token: unknown): token is abstract new () => AnyEmitter {
  if (typeof token !== 'function') return false
  const { prototype } = token
  return ['onAny', 'offAny', 'emitAsync', 'listenersAny'].every((method) => typeof prototype?.[method] === 'function')
}

/** With `wildcard: true` an event may be emitted as its parts, and comes here joined by eventemitter2 or, beside many values, as they are. */
function nameOf(event: unknown): string | undefined {
  if (typeof event === 'string') return event
  return Array.isArray(event) && event.every((part) => typeof part === 'string') ? event.join('.') : undefined
}

function readEvent(name: string, payload: unknown): EventInput {
  const target = parseChannelName(name)
  if (!target) throw new Error('it is not a channel name; make it with channelName(projectId, channel)')
  if (typeof payload !== 'object' || payload === null)
    throw new Error(`its payload is ${quote(payload)}; it must be an event`)
  const event = payload as Partial<EventInput>
  for (const field of ['projectId', 'channel'] as const) {
    const said = event[field]
    if (said !== undefined && target[field] !== undefined && said !== target[field]) {
      throw new Error(`its payload has the ${field} ${quote(said)}, its name says ${quote(target[field])}`)
    }
  }
  return { ...event, ...target } as EventInput
}
