import {
  type AnyHub,
  assertDrainMs,
  assertHub,
  assertStreamOptions,
  type EventStreamOptions,
  type Grant,
} from '@entitycast/sse-server'
import { type StreamOptions, serveNode } from '@entitycast/sse-server/node'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'

export interface EventStreamPluginOptions extends EventStreamOptions<FastifyRequest> {
  hub: AnyHub
  /** The route, under the plugin's `prefix`. Default `/`. */
  path?: string
  /**
   * `app.close()` closes the hub first, because it would wait for open streams for ever; so long, in milliseconds, it spreads the
   * clients' reconnects. Default 0. `false`: the application closes the hub by itself.
   */
  drainMs?: number | false
}

/**
 * A plugin with one route that answers with a project's events. Hooks of the scope it is registered in run before it, and headers that
 * they set on the reply (CORS, request ids) go out with the stream. The client's address is `request.ip`: set `trustProxy` behind one.
 *
 * @example
 * await app.register(eventStream, {
 *   hub,
 *   path: '/api/events/stream',
 *   authorize: async (request) => {
 *     const user = await verify(request.headers.authorization)
 *     return user && { projectId: user.projectId, userId: user.id }
 *   },
 * })
 */
export const eventStream: FastifyPluginAsync<EventStreamPluginOptions> = async (
  app,
  { hub, path = '/', drainMs = 0, ...options },
) => {
  assertStreamOptions(hub, options)
  if (drainMs !== false) assertDrainMs(drainMs)
  // All methods, so that a preflight is answered and the others are refused by the one place that decides about them.
  app.all(path, (request, reply) => void serve(hub, options, request, reply))
  if (drainMs !== false) app.addHook('preClose', () => hub.close({ drainMs }))
}

/**
 * Answers one request with the events that `grant` covers: for routes that have already checked who is asking.
 * Resolves when the stream is open or refused. Never rejects. The application closes the hub in a `preClose` hook.
 *
 * @example
 * app.get('/api/events/stream', { preHandler: requireUser }, (request, reply) => {
 *   void openStream(hub, request, reply, { projectId: request.user.projectId, userId: request.user.id })
 * })
 */
export function openStream(
  hub: AnyHub,
  request: FastifyRequest,
  reply: FastifyReply,
  grant: Grant,
  options: StreamOptions<FastifyRequest> = {},
): Promise<void> {
  return serve(hub, { ...options, authorize: () => grant }, request, reply, true)
}

/**
 * A route handler that answers with `hub.stats()` as JSON.
 *
 * @throws HubError `INVALID_OPTION`
 * @example
 * app.get('/api/events/stats', { preHandler: requireAdmin }, eventStats(hub))
 */
export function eventStats(hub: AnyHub): (request: FastifyRequest, reply: FastifyReply) => FastifyReply {
  assertHub(hub)
  return (_request, reply) => reply.header('cache-control', 'no-store').send(hub.stats())
}

function serve(
  hub: AnyHub,
  options: EventStreamOptions<FastifyRequest>,
  request: FastifyRequest,
  reply: FastifyReply,
  isGranted = false,
): Promise<void> {
  // From here on Fastify keeps its hands off, and what plugins have set on the reply is ours to send.
  reply.hijack()
  const details = { url: request.originalUrl, ip: request.ip, headers: reply.getHeaders(), isGranted }
  return serveNode(hub, options, request, request.raw, reply.raw, details)
}
