import {
  type AnyHub,
  assertHub,
  assertStreamOptions,
  type EventStreamOptions,
  type Grant,
  type StreamRequest,
  serveStream,
} from '@entitycast/sse-server'
import { type HeldHeaders, type NodeRequest, type NodeResponse, NodeStream, peerOf } from './node-stream'

export { leanStreams } from './node-lean'
export type { HeldHeaders, NodeRequest, NodeResponse } from './node-stream'

/**
 * Streams on Node's own servers: `http`, `https`, and the compatibility API of `http2`. The mounts of frameworks that hand out Node's
 * requests and responses are built on this one.
 */

/** What a stream may be told besides the grant: `cors`, `refuse`, `reauthorize`, `clientIp`. */
export type StreamOptions<Source> = Omit<EventStreamOptions<Source>, 'authorize'>

/** What a framework knows better than Node's request. */
export interface ExchangeDetails {
  /** Path and query as the client sent them, where the framework has shortened `req.url`. */
  url?: string | undefined
  /** The client's address, as the framework's own trust in proxies gives it. Default: the socket's. */
  ip?: string | undefined
  /** Headers that the framework holds back until it answers by itself. */
  headers?: HeldHeaders
  /** The application has checked who asks before. */
  isGranted?: boolean
}

const NO_DETAILS: ExchangeDetails = {}

/**
 * A request listener that answers with a project's events.
 *
 * @throws HubError `INVALID_OPTION`
 * @example
 * createServer(eventStream(hub, {
 *   authorize: async (req) => {
 *     const user = await verify(req.headers.authorization)
 *     return user && { projectId: user.projectId, userId: user.id }
 *   },
 * })).listen(3000)
 */
export function eventStream(
  hub: AnyHub,
  options: EventStreamOptions<NodeRequest>,
): (req: NodeRequest, res: NodeResponse) => void {
  assertStreamOptions(hub, options)
  return (req, res) => void serveNode(hub, options, req, req, res)
}

/**
 * Answers one request with the events that `grant` covers: for routes that have already checked who is asking. Call it right after the check: a
 * `revoke` between the two is not noticed, while one from here on is.
 * Resolves when the stream is open or refused. Never rejects.
 *
 * @example
 * app.get('/api/events/stream', requireUser, (req, res) => {
 *   void openStream(hub, req, res, { projectId: req.user.projectId, userId: req.user.id })
 * })
 */
export function openStream(
  hub: AnyHub,
  req: NodeRequest,
  res: NodeResponse,
  grant: Grant,
  options: StreamOptions<NodeRequest> = {},
): Promise<void> {
  return serveNode(hub, { ...options, authorize: () => grant }, req, req, res, { isGranted: true })
}

/**
 * A request listener that answers with `hub.stats()` as JSON. Put it behind the application's own check.
 *
 * @throws HubError `INVALID_OPTION`
 */
export function eventStats(hub: AnyHub): (req: NodeRequest, res: NodeResponse) => void {
  assertHub(hub)
  return (_req, res) => {
    res.setHeader('content-type', 'application/json; charset=utf-8')
    res.setHeader('cache-control', 'no-store')
    res.end(JSON.stringify(hub.stats()))
  }
}

/** For authors of mounts: one exchange on Node's objects. `source` is what `authorize` is given. Never rejects. */
export function serveNode<Source>(
  hub: AnyHub,
  options: EventStreamOptions<Source>,
  source: Source,
  req: NodeRequest,
  res: NodeResponse,
  details: ExchangeDetails = NO_DETAILS,
): Promise<void> {
  const response = new NodeStream(hub, req, res, details.headers)
  return serveStream(hub, options, source, new Asked(req, details), response)
}

/** A request on Node's objects. */
class Asked implements StreamRequest {
  constructor(
    readonly req: NodeRequest,
    readonly details: ExchangeDetails,
  ) {}

  get ip(): string | undefined {
    return this.details.ip ?? peerOf(this.req)
  }

  get isIpOfPeer(): boolean {
    return this.details.ip === undefined
  }

  get method(): string {
    return this.req.method ?? 'GET'
  }

  get url(): string {
    return this.details.url ?? this.req.url ?? '/'
  }

  get isGranted(): boolean | undefined {
    return this.details.isGranted
  }

  header(name: string): string | undefined {
    const value = this.req.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
}
