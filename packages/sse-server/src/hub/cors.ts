import type { StreamRequest } from '../seams/exchange'

/** Which pages of other origins may open the stream. Off where it is not given. */
export interface CorsOptions {
  /** Origins as browsers send them (`https://app.example.com`), or `'*'` for all, which `credentials` forbids. */
  origins: '*' | readonly string[]
  /** Whether cookies are allowed. Default false. */
  credentials?: boolean | undefined
}

const NO_HEADERS: Readonly<Record<string, string>> = {}

/** The headers that let a page of this origin read the answer; none where it may not. */
export function corsHeaders(cors: CorsOptions | undefined, request: StreamRequest): Readonly<Record<string, string>> {
  if (!cors) return NO_HEADERS
  const origin = request.header('origin')
  const any = cors.origins === '*'
  const headers: Record<string, string> = any ? {} : { vary: 'Origin' }
  if (origin === undefined || !(any || cors.origins.includes(origin))) return headers
  headers['access-control-allow-origin'] = any ? '*' : origin
  headers['access-control-expose-headers'] = 'Retry-After'
  if (cors.credentials) headers['access-control-allow-credentials'] = 'true'
  return headers
}

/** The same for the question that a browser asks before it sends `Authorization` or `Last-Event-ID`. */
export function preflightHeaders(
  cors: CorsOptions | undefined,
  request: StreamRequest,
): Readonly<Record<string, string>> {
  const headers = corsHeaders(cors, request)
  if (!headers['access-control-allow-origin']) return headers
  return {
    ...headers,
    'access-control-allow-methods': 'GET, HEAD',
    'access-control-allow-headers': 'Authorization, Last-Event-ID, X-Project-Id',
    'access-control-max-age': '7200',
  }
}
