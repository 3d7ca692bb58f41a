import { parseChannelList, quote } from '@entitycast/sse-protocol'
import type { Addressed, StreamRequest, StreamResponse } from '../seams/exchange'
import type { Sink } from '../seams/sink'
import type { ConnectRequest } from './admission'
import type { AnyHub } from './any-hub'
import { corsHeaders, preflightHeaders } from './cors'
import { acceptsGzip, readCompression, varying } from './encoding'
import { HubError } from './error'
import { type Grant, grantedChannels, lifetimeOf, readGrant } from './grant'
import { isPromise, type Waiting } from './questions'
import { assertStreamOptions, type EventStreamOptions } from './stream-options'

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
}

/** What a query asks for. */
interface Query {
  readonly channels: string[] | undefined
  readonly lastEventId: string | undefined
}

const NO_QUERY: Query = { channels: undefined, lastEventId: undefined }

const CREDENTIALS = ['token', 'access_token', 'jwt', 'authorization', 'api_key']

const DONE = Promise.resolve()

const NO_HEADERS: Readonly<Record<string, string>> = {}

/**
 * Answers one request for the stream: everything that is the same in every framework. For authors of mounts; never throws, never rejects.
 */
export function serveStream<Source>(
  hub: AnyHub,
  options: EventStreamOptions<Source>,
  source: Source,
  request: StreamRequest,
  response: StreamResponse,
): Promise<void> {
  return new Exchange(hub, options, source, request, response).serve()
}

/**
 * A request and its answer; for the hub it is also the request for a stream. What is kept while one waits is kept in this one object, and
 * there is no `async` and no promise that is not needed: of thousands who come at once each pays for it.
 */
class Exchange<Source> implements ConnectRequest, Waiting<Grant | null | undefined> {
  grant!: Grant
  askedAt = 0
  from: Addressed & { readonly isIpOfPeer?: boolean | undefined }
  reauthorize: (() => boolean | Promise<boolean>) | undefined
  #query = NO_QUERY
  #cors = NO_HEADERS
  #headers = NO_HEADERS
  #gzip = false
  #isAnswered = false
  /** Set while the application is asked. */
  #served: ((opening?: Promise<void>) => void) | undefined

  constructor(
    readonly hub: AnyHub,
    readonly options: EventStreamOptions<Source>,
    readonly source: Source,
    readonly request: StreamRequest,
    readonly response: StreamResponse,
  ) {
    this.from = request
  }

  /** Whether there is nobody to be answered any more. */
  get isOver(): boolean {
    return this.#isAnswered || this.response.gone
  }

  /** Resolves when the stream is open or refused. Never rejects. */
  serve(): Promise<void> {
    try {
      const hearing = this.#begin()
      return hearing ? this.#hear(hearing) : this.#ask()
    } catch (thrown) {
      this.failed(thrown)
      return DONE
    }
  }

  async #hear(hearing: Promise<void>): Promise<void> {
    try {
      await hearing
      await this.#ask()
    } catch (thrown) {
      this.failed(thrown)
    }
  }

  /** @throws whatever the application throws, and why it is not asked */
  #ask(): Promise<void> {
    if (this.isOver) return DONE
    const { hub, options, request, source } = this
    if (!request.isGranted) this.askedAt = hub.moment
    const answer = hub.ask(this.from, () => options.authorize(source), this)
    if (!isPromise(answer)) return this.#granted(answer) ?? DONE
    return new Promise((resolve) => {
      this.#served = resolve
    })
  }

  answered(grant: Grant | null | undefined): void {
    this.#served?.(this.#granted(grant))
  }

  failed(error: unknown): void {
    this.#refuse(error)
    this.#served?.()
  }

  /** Nothing where it is open or refused at once. Never throws, never rejects. */
  #granted(grant: Grant | null | undefined): Promise<void> | undefined {
    try {
      if (this.isOver) return undefined
      return this.#connect(grant)?.catch((error) => this.#refuse(error))
    } catch (thrown) {
      this.#refuse(thrown)
      return undefined
    }
  }

  /** What needs no grant. The result is to be waited for, where there is one: an answer from before revocations are heard may be revoked unheard. */
  #begin(): Promise<void> | undefined {
    const { hub, options, request } = this
    assertStreamOptions(hub, options)
    this.#cors = corsHeaders(options.cors, request)
    if (request.method === 'OPTIONS') {
      this.#answer(204, { allow: 'GET, HEAD, OPTIONS', ...preflightHeaders(options.cors, request) })
      return undefined
    }
    this.#query = readQuery(request)
    if (options.clientIp) this.from = { ip: readAddress(options.clientIp(this.source)) }
    this.askedAt = hub.moment
    return hub.ready(this.from)
  }

  #connect(grant: Grant | null | undefined): Promise<void> | undefined {
    const { hub, options, request, source } = this
    if (!grant) throw new HubError('UNAUTHORIZED', 'No valid credentials')
    const projectId = request.header('x-project-id')
    if (projectId !== undefined && projectId !== grant.projectId && projectId !== encoded(grant.projectId)) {
      throw new HubError('PROJECT_MISMATCH', `X-Project-Id is ${quote(projectId)}, which your credentials do not open`)
    }
    const { reauthorize } = options
    const compression = readCompression(options.compression)
    const isPlain = !options.cors && !compression
    const cors = this.#cors
    this.#headers = isPlain ? STREAM_HEADERS : { ...STREAM_HEADERS, ...cors, ...(compression && varying(cors)) }
    if (request.method === 'HEAD') {
      // What GET would be told of the grant, which needs neither the log nor room.
      grantedChannels(readGrant(grant), this.channels)
      lifetimeOf(grant, hub.clock)
      this.#answer(200, this.#headers)
      return undefined
    }
    this.grant = grant
    if (reauthorize) this.reauthorize = () => reauthorize(source, grant)
    this.#gzip = compression && acceptsGzip(request.header('accept-encoding'))
    return hub.connect(this)
  }

  get channels(): readonly string[] | undefined {
    return this.#query.channels
  }

  get lastEventId(): string | undefined {
    return this.request.header('last-event-id') || this.#query.lastEventId
  }

  gone(): boolean {
    return this.response.gone
  }

  open(): Sink {
    return this.response.open(this.#headers, this.#gzip)
  }

  #refuse(thrown: unknown): void {
    const { hub, options, response } = this
    const error = hub.refused(thrown)
    if (response.gone) return
    try {
      if (options.refuse === 'stream' && error.retryAfterMs !== undefined)
        refuseByStream(response, error.retryAfterMs, this.#cors)
      else refuse(response, error, this.#cors)
    } catch (failure) {
      // A middleware that throws as the headers go out: the mount has ended the response.
      hub.refused(failure)
    }
  }

  #answer(status: number, headers: Readonly<Record<string, string>>): void {
    this.#isAnswered = true
    this.response.answer(status, headers, '')
  }
}

/** @throws HubError `METHOD_NOT_ALLOWED`, `NOT_ACCEPTABLE`, `CREDENTIALS_IN_URL`, `BAD_REQUEST` */
function readQuery(request: StreamRequest): Query {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new HubError('METHOD_NOT_ALLOWED', `${quote(request.method)} is not allowed here; open the stream with GET`)
  }
  const accept = request.header('accept')
  if (accept && accept !== 'text/event-stream' && !/\*\/\*|text\/\*|text\/event-stream/i.test(accept)) {
    throw new HubError('NOT_ACCEPTABLE', `Accept is ${quote(accept)}; this is text/event-stream`)
  }
  const searchParams = queryOf(request.url)
  if (!searchParams) return NO_QUERY
  for (const name of CREDENTIALS) {
    if (searchParams.has(name))
      throw new HubError(
        'CREDENTIALS_IN_URL',
        `Send credentials in a header or a cookie, not as ?${name}=: URLs are logged`,
      )
  }
  const channels = searchParams.get('channels')
  try {
    return {
      channels: channels === null ? undefined : parseChannelList(channels),
      lastEventId: searchParams.get('lastEventId') ?? undefined,
    }
  } catch (cause) {
    throw new HubError('BAD_REQUEST', (cause as Error).message, { cause })
  }
}

/** A request line may hold anything: what cannot be read as an address is the client's mistake. */
function queryOf(url: string): URLSearchParams | undefined {
  const at = url.indexOf('?')
  return at < 0 ? undefined : new URLSearchParams(url.slice(at + 1).replace(/#.*$/, ''))
}

/** `null` is what `Headers.get` gives where there is none. @throws HubError `INVALID_OPTION` */
function readAddress(ip: string | null | undefined): string | undefined {
  if (ip === undefined || ip === null) return undefined
  if (typeof ip === 'string') return ip
  throw new HubError('INVALID_OPTION', `clientIp gave ${quote(ip)}; it must give the address as text, or undefined`)
}

/** How a client writes a project id that a header cannot carry. */
function encoded(projectId: string): string | undefined {
  try {
    return encodeURIComponent(projectId)
  } catch {
    return undefined
  }
}

function refuse(response: StreamResponse, error: HubError, cors: Readonly<Record<string, string>>): void {
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...cors,
  }
  if (error.retryAfterMs !== undefined)
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000)))
  if (error.status === 405) headers.allow = 'GET, HEAD, OPTIONS'
  response.answer(error.status, headers, JSON.stringify({ error: { code: error.code, message: error.message } }))
}

function refuseByStream(response: StreamResponse, retryAfterMs: number, cors: Readonly<Record<string, string>>): void {
  response.answer(200, { ...STREAM_HEADERS, ...cors }, `retry: ${Math.round(retryAfterMs)}\n\n`)
}
