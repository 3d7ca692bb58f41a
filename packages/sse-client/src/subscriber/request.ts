import { isChannel, quote } from '@entitycast/sse-protocol'
import type { Fetch } from '../seams/ports'
import { isCursor } from './cursor'
import type { CursorStore } from './cursor-keeper'
import { SubscriberError } from './error'

/**
 * Why headers are asked for out of turn: 401; the server has closed a stream whose grant had expired; or the grant of the stream that is open
 * is about to end, and the next stream is opened before.
 */
export type HeadersReason = 'unauthorized' | 'expired' | 'expiring'

/** What the `headers` function is told. */
export interface HeadersContext {
  /** 1 for the first attempt, and for the first after a stream that has held for 10 s. */
  readonly attempt: number
  /** Where it is given, what was returned before is no good any more: fetch a fresh token. */
  readonly reason?: HeadersReason | undefined
}

/** What `shouldRetry` is told beside the error. */
export interface RetryContext {
  /** Which attempt has failed, counted as in `headers`. */
  readonly attempt: number
}

/** Header fields: an object, or anything that iterates over pairs, such as `Headers`. */
export type HeaderFields = Readonly<Record<string, string>> | Iterable<readonly [string, string]>

/** Options of `new EventSubscriber()`. All have defaults; a bad one throws `INVALID_OPTION`. */
export interface SubscriberOptions {
  /** The project whose events are wanted, sent as `X-Project-Id`. Without it the server decides, and the first stream's project is kept. */
  projectId?: string | undefined
  /** Only events of these channels. Default: all that the server lets us see. */
  channels?: readonly string[] | undefined
  /**
   * Headers of each request, or a function that is asked before each attempt and may be async; it has 10 s.
   *
   * @example
   * headers: async ({ reason }) => ({ authorization: `Bearer ${await token({ fresh: reason !== undefined })}` })
   */
  headers?: HeaderFields | ((context: HeadersContext) => HeaderFields | Promise<HeaderFields>) | undefined
  /** Whether cookies go with the request, as in `fetch`. Default: to the own origin only. */
  credentials?: 'omit' | 'same-origin' | 'include' | undefined
  /** The cursor that the page's data was loaded at, from `hub.cursor(projectId)`: the stream begins right after it. */
  since?: string | undefined
  /**
   * Where the cursor is kept over a reload: `sessionCursor`, or `storedCursor` for a storage of your own. Only of use where what the page shows is kept too:
   * the stream goes on right after it, and whoever loads the data anew has a newer one, for `since`, which goes before it. Written at most
   * once a second, and when the stream ends; the place after a resync only when `onResync` handlers are done. It needs `identity`, so that users who
   * share a tab share no cursor.
   */
  cursorStore?: CursorStore | undefined
  /** Largest event, in bytes (counted as characters of its text); a larger one ends the stream. Default 1 MiB. */
  maxEventBytes?: number | undefined
  /**
   * What becomes of the stream while nobody looks at the page: `keep` it (default), `close` it at once, or close it after a while. The
   * cursor is kept: when the page is looked at again, what was missed is replayed, or a resync is told.
   */
  hidden?: 'keep' | 'close' | { readonly closeAfterMs: number } | undefined
  /**
   * How long `onResync` handlers that return a promise may take, in milliseconds, before events go on without them. Default 30,000.
   */
  resyncTimeoutMs?: number | undefined
  /**
   * Whether to try again after a failure, instead of what `SubscriberErrorCode` says; `error.retrying` is what would be done. Delays
   * and the server's minimums stay. `undefined` leaves it as it is. For `UNAUTHORIZED` it is asked after the second 401 in a row.
   * It answers at once: a promise leaves it as it is, and is reported as `HANDLER_FAILED`.
   *
   * @example
   * shouldRetry: ({ status }) => (status === 404 ? true : undefined) // our load balancer says 404 while it starts
   */
  shouldRetry?: ((error: SubscriberError, context: RetryContext) => boolean | undefined) | undefined
  /**
   * Who looks at the page, such as a user's id: asked before each attempt. Where it is not who it was, the cursor is given up, and
   * `onResync` is told `identity` before any event. A stream that is open is not looked at: call `reconnect()` when somebody else signs in.
   */
  identity?: string | (() => string) | undefined
  /** Closes for good when it is aborted. */
  signal?: AbortSignal | undefined
  /** Instead of the global `fetch`. */
  fetch?: Fetch | undefined
}

/** Checked options, with their defaults. */
export interface Settings extends SubscriberOptions {
  readonly address: string
  readonly maxEventBytes: number
  readonly resyncTimeoutMs: number
}

const DEFAULT_MAX_EVENT_BYTES = 1_048_576
const DEFAULT_RESYNC_TIMEOUT_MS = 30_000
const ABSOLUTE = /^[a-z][\w+.-]*:/i
/** What a header carries unharmed. */
const PRINTABLE = /^[!-~](?:[ -~]*[!-~])?$/

/** What each option must be, where it is given; without a check of its own it is of a type that the rule names. */
const RULES: {
  readonly [Name in keyof SubscriberOptions]: readonly [
    rule: string,
    isRight?: (value: NonNullable<SubscriberOptions[Name]>, options: SubscriberOptions) => unknown,
  ]
} = {
  projectId: ['text', (value) => value && typeof value === 'string'],
  channels: [
    'an array of names; leave it out for all',
    (value) => Array.isArray(value) && value.length && value.every(isChannel),
  ],
  headers: ['an object or a function'],
  since: ['from hub.cursor(projectId)', isCursor],
  maxEventBytes: ['1024 or more', (value) => value >= 1024 && Number.isSafeInteger(value)],
  resyncTimeoutMs: ['milliseconds over 0', (value) => value > 0],
  hidden: [
    "'keep', 'close' or { closeAfterMs }",
    (value) => value === 'keep' || value === 'close' || Object(value).closeAfterMs >= 0,
  ],
  identity: ['a string or a function'],
  shouldRetry: ['a function'],
  fetch: ['a function'],
  cursorStore: [
    'sessionCursor(), with identity',
    (value, { identity }) => typeof value === 'function' && identity !== undefined,
  ],
}

/** @throws SubscriberError `INVALID_OPTION` */
export function checkOptions(url: string | URL, options: SubscriberOptions): Settings {
  let address = String(url ?? '')
  if (!address) refuse('url', url, 'an address')
  for (const [option, [rule, isRight]] of Object.entries(RULES)) {
    const value = options[option as keyof SubscriberOptions]
    const right = isRight ? isRight(value as never, options) : value !== null && rule.includes(typeof value)
    if (value !== undefined && !right) refuse(option, value, rule)
  }
  const { channels, maxEventBytes = DEFAULT_MAX_EVENT_BYTES, resyncTimeoutMs = DEFAULT_RESYNC_TIMEOUT_MS } = options
  if (channels) address = withQuery(address, `channels=${encodeURIComponent([...new Set(channels)].join(','))}`)
  return { ...options, address, maxEventBytes, resyncTimeoutMs }
}

/**
 * A relative address needs a page that it is relative to, unless a `fetch` of one's own knows better.
 *
 * @throws SubscriberError `INVALID_OPTION`
 */
export function checkAddress({ address, fetch }: Settings): void {
  if (!ABSOLUTE.test(address) && !fetch && !globalThis.location) refuse('url', address, 'a whole address')
}

/** The headers of one request. `Headers` checks names and values, and does not care how a name is written. */
export async function requestHeaders(settings: Settings, context: HeadersContext): Promise<Record<string, string>> {
  const { headers, projectId } = settings
  const given = await ask(headers, context)
  const fields = Object.fromEntries(new Headers(given as Record<string, string>))
  fields.accept = 'text/event-stream'
  if (projectId) fields['x-project-id'] = PRINTABLE.test(projectId) ? projectId : encodeURIComponent(projectId)
  return fields
}

/**
 * What an option says now that may be a function which is asked each time.
 *
 * @internal
 */
export function ask<Value, Context>(option: Value | ((context: Context) => Value), context?: Context): Value {
  return typeof option === 'function' ? (option as (context?: Context) => Value)(context) : option
}

function withQuery(address: string, query: string): string {
  const [path = ''] = address.split('#', 1)
  return `${path}${path.includes('?') ? '&' : '?'}${query}`
}

function refuse(option: string, value: unknown, rule: string): never {
  throw new SubscriberError('INVALID_OPTION', `${option} is ${quote(value)}; it must be ${rule}`, { retrying: false })
}
