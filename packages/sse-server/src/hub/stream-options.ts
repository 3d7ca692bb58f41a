import { quote } from '@entitycast/sse-protocol'
import type { CorsOptions } from './cors'
import { readCompression } from './encoding'
import { HubError } from './error'
import { type Grant, plain } from './grant'

/** How streams are opened. `Source` is the framework's own request. */
export interface EventStreamOptions<Source> {
  /**
   * Who may see what. `null` is 401; throw a `HubError` for 403, 429 …; anything else that is thrown, or 10 s without an answer, is 503, and
   * clients try again: so catch what a token library throws for a bad token, and return `null`.
   */
  authorize(source: Source): Grant | null | undefined | Promise<Grant | null | undefined>
  /**
   * Asked again before each heartbeat, and each 15 s where heartbeats are off: `false` revokes the stream; a throw ends it so that the
   * client asks `authorize` again. Default: not asked.
   */
  reauthorize?(source: Source, grant: Grant): boolean | Promise<boolean>
  /** Default: no page of another origin may read the stream. The mount must get OPTIONS too: with Express `app.all`, and not `app.get`. */
  cors?: CorsOptions | undefined
  /**
   * How a full or draining server refuses. `status`: 429 or 503 with `Retry-After`. `stream`: 200, a `retry:` and the end, for browsers'
   * own `EventSource`, which gives up for good after one error status. Default `status`.
   */
  refuse?: 'status' | 'stream' | undefined
  /** The address that limits count by, as text; `undefined` or `null` is not counted. Default: what the framework says. */
  clientIp?(source: Source): string | null | undefined
  /**
   * `gzip` compresses each chunk once, for all clients who accept it. Default `false`: what is secret to one user and what another one may
   * choose must not be compressed together where somebody can measure the network. Events with an audience never are. Read
   * docs/compression.md first.
   */
  compression?: 'gzip' | false | undefined
}

/** As browsers send one: no path, and nothing behind it. `null` is what sandboxed pages send. */
const ORIGIN = /^(?:null|[a-z][a-z0-9+.-]*:\/\/[^\s/?#]+)$/

const NAMES = ['authorize', 'reauthorize', 'clientIp', 'refuse', 'cors', 'compression'] as const
const KNOWN = new Set<string>(NAMES)
const MEANT = new Map(NAMES.map((name) => [plain(name), name]))

/**
 * That a mount was given a hub: before the first request comes. For authors of mounts.
 *
 * @throws HubError `INVALID_OPTION`
 */
export function assertHub(hub: unknown): void {
  if (typeof (hub as { connect?: unknown } | undefined)?.connect !== 'function') {
    throw invalid(`hub is ${quote(hub)}; give the mount an EventHub`)
  }
}

/**
 * That a mount can work with what it was given: before the first request comes, where it can be. For authors of mounts.
 *
 * @throws HubError `INVALID_OPTION`
 */
export function assertStreamOptions<Source>(hub: unknown, options: EventStreamOptions<Source>): void {
  assertHub(hub)
  if (typeof options !== 'object' || options === null) {
    throw invalid(`the options are ${quote(options)}; a mount needs at least { authorize }`)
  }
  const { authorize, reauthorize, clientIp, refuse, cors, compression } = options
  if (typeof authorize !== 'function') {
    throw invalid(`authorize is ${quote(authorize)}; it must be a function that returns a grant, or null for 401`)
  }
  assertNames(options)
  assertFunction('reauthorize', reauthorize)
  assertFunction('clientIp', clientIp)
  if (refuse !== undefined && refuse !== 'status' && refuse !== 'stream') {
    throw invalid(`refuse is ${quote(refuse)}; it must be 'status' or 'stream'`)
  }
  readCompression(compression)
  if (cors !== undefined) assertCors(cors)
}

/** `reauthorise` would ask nobody. What else is there may be the framework's, as Fastify's `prefix`. */
function assertNames(options: object): void {
  for (const name in options) {
    if (KNOWN.has(name)) continue
    const meant = MEANT.get(plain(name))
    if (meant) throw invalid(`${quote(name)} is not an option of a mount; did you mean ${meant}?`)
  }
}

function assertFunction(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'function') return
  throw invalid(`${name} is ${quote(value)}; it must be a function, or be left out`)
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
