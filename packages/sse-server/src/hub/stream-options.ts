import { quote } from '@entitycast/sse-protocol'
import { readCompression } from './encoding'
import { HubError } from './error'
import type { EventStreamOptions } from './serve'

/** As browsers send one: no path, and nothing behind it. `null` is what sandboxed pages send. */
const ORIGIN = /^(?:null|[a-z][a-z0-9+.-]*:\/\/[^\s/?#]+)$/

/**
 * That a mount can work with what it was given: before the first request comes, where it can be. For authors of mounts.
 *
 * @throws HubError `INVALID_OPTION`
 */
export function assertStreamOptions<Source>(hub: unknown, options: EventStreamOptions<Source>): void {
  if (typeof (hub as { connect?: unknown } | undefined)?.connect !== 'function') {
    throw invalid(`hub is ${quote(hub)}; give the mount an EventHub`)
  }
  if (typeof options !== 'object' || options === null) {
    throw invalid(`the options are ${quote(options)}; a mount needs at least { authorize }`)
  }
  const { authorize, reauthorize, clientIp, refuse, cors, compression } = options
  if (typeof authorize !== 'function') {
    throw invalid(`authorize is ${quote(authorize)}; it must be a function that returns a grant, or null for 401`)
  }
  for (const [name, value] of Object.entries({ reauthorize, clientIp })) {
    if (value !== undefined && typeof value !== 'function') {
      throw invalid(`${name} is ${quote(value)}; it must be a function, or be left out`)
    }
  }
  if (refuse !== undefined && refuse !== 'status' && refuse !== 'stream') {
    throw invalid(`refuse is ${quote(refuse)}; it must be 'status' or 'stream'`)
  }
  readCompression(compression)
  if (cors !== undefined) assertCors(cors)
}

function assertCors(cors: NonNullable<EventStreamOptions<unknown>['cors']>): void {
  const { origins, credentials } = cors ?? {}
  if (credentials !== undefined && typeof credentials !== 'boolean') {
    throw invalid(`cors.credentials is ${quote(credentials)}; it must be true or false`)
  }
  if (origins === '*') {
    // Otherwise every page of the web could read the streams of whoever looks at it.
    if (!credentials) return
    throw invalid("cors.origins is '*' and cors.credentials is true; name the origins that may use a visitor's cookies")
  }
  if (!Array.isArray(origins)) throw invalid(`cors.origins is ${quote(origins)}; it must be '*' or an array of origins`)
  for (const origin of origins) {
    if (typeof origin === 'string' && ORIGIN.test(origin)) continue
    throw invalid(
      `cors.origins has ${quote(origin)}; an origin is written as browsers send it: https://app.example.com, without a path`,
    )
  }
}

function invalid(message: string): HubError {
  return new HubError('INVALID_OPTION', message)
}
