/**
 * Why the hub refuses, as a code that stays the same from release to release, with the HTTP status that a client sees.
 *
 * - `UNAUTHORIZED` 401: no or no valid credentials
 * - `FORBIDDEN` 403: valid credentials, but not for this
 * - `PROJECT_MISMATCH` 403: the `X-Project-Id` header names another project than the grant
 * - `CHANNEL_FORBIDDEN` 403: a channel was asked for that the grant does not cover
 * - `CREDENTIALS_IN_URL` 400: a token in the query; URLs end up in logs and histories
 * - `BAD_REQUEST` 400: anything else that the request has wrong
 * - `METHOD_NOT_ALLOWED` 405, `NOT_ACCEPTABLE` 406
 * - `TOO_MANY_CONNECTIONS` 429: the user, address or project has as many as it may
 * - `UNAVAILABLE` 503: the process is full or draining, `authorize` failed, the log cannot be reached, or one of them took over 10 s
 * - `MIGRATION_MISSING` 503: the database lacks our tables, or some of them; the message names what to run
 * - `TRANSACTION_POOLING` 503: a proxy between us and the database shares its connections; give the adapter a direct one
 * - `STREAM_MISSING` 503: NATS has no stream for our events, and we may not make it; the message holds what to make
 * - `STREAM_UNSUITABLE` 503: the stream there is would lose events; the message says what to change
 * - `UNSUPPORTED` 500: the adapter, or the server behind it, cannot do that
 * - `BAD_GRANT` 500: `authorize` returned something that is not a grant
 * - `CLOSED` 503: the hub is closed
 * - `INVALID_OPTION`, `INVALID_FILTER` 500: the program has it wrong; the message says how to mend it
 */
export type HubErrorCode =
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'PROJECT_MISMATCH'
  | 'CHANNEL_FORBIDDEN'
  | 'CREDENTIALS_IN_URL'
  | 'BAD_REQUEST'
  | 'METHOD_NOT_ALLOWED'
  | 'NOT_ACCEPTABLE'
  | 'TOO_MANY_CONNECTIONS'
  | 'UNAVAILABLE'
  | 'MIGRATION_MISSING'
  | 'TRANSACTION_POOLING'
  | 'STREAM_MISSING'
  | 'STREAM_UNSUITABLE'
  | 'UNSUPPORTED'
  | 'BAD_GRANT'
  | 'CLOSED'
  | 'INVALID_OPTION'
  | 'INVALID_FILTER'

const STATUS: Record<HubErrorCode, number> = {
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  PROJECT_MISMATCH: 403,
  CHANNEL_FORBIDDEN: 403,
  CREDENTIALS_IN_URL: 400,
  BAD_REQUEST: 400,
  METHOD_NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  TOO_MANY_CONNECTIONS: 429,
  UNAVAILABLE: 503,
  MIGRATION_MISSING: 503,
  TRANSACTION_POOLING: 503,
  STREAM_MISSING: 503,
  STREAM_UNSUITABLE: 503,
  UNSUPPORTED: 500,
  BAD_GRANT: 500,
  CLOSED: 503,
  INVALID_OPTION: 500,
  INVALID_FILTER: 500,
}

/** Whether the code is one of ours: an application may put any text into its errors. */
export function isHubErrorCode(code: string): code is HubErrorCode {
  return Object.hasOwn(STATUS, code)
}

/**
 * What the hub throws, and what `authorize` may throw to refuse with a status of its own. Check `code`, never `instanceof`.
 * The message reaches the client of a refused request: no secrets in it.
 *
 * @example
 * authorize: async (req) => {
 *   const user = await verify(req)
 *   if (!user) return null                                            // 401
 *   if (user.suspended) throw new HubError('FORBIDDEN', 'This account is suspended')
 *   return { projectId: user.projectId, userId: user.id }
 * }
 */
export class HubError extends Error {
  override readonly name = 'HubError'
  /** The HTTP status of the refusal. */
  readonly status: number
  /**
   * When the client may try again, in milliseconds from now; sent as `Retry-After`, in whole seconds. What `authorize` throws is sent as it
   * says: where many are refused together, give each another time.
   */
  readonly retryAfterMs: number | undefined

  constructor(
    readonly code: HubErrorCode,
    message: string,
    options: { status?: number; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.status = options.status ?? STATUS[code] ?? 500
    const { retryAfterMs } = options
    // What is no time would go out as `Retry-After: NaN`.
    this.retryAfterMs = Number.isFinite(retryAfterMs) && Number(retryAfterMs) >= 0 ? retryAfterMs : undefined
  }
}

/** An error for a log: what kind and why, never the value it was about. */
export function describe(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : typeof error
  } catch {
    return 'an error that cannot be written down'
  }
}
