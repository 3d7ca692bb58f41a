import { type AnyHub, assertHub, assertStreamOptions, type EventStreamOptions } from '@entitycast/sse-server'
import { serveNode } from '@entitycast/sse-server/node'
import type { Request, RequestHandler } from 'express'

export { openStream } from '@entitycast/sse-server/node'

/**
 * A route handler that answers with a project's events. Works with Express 4 and 5, with `compression()` before it too.
 *
 * `app.get` brings it GET and HEAD only. Where pages of another origin read the stream (`cors`), mount it with `app.all`, so that the
 * browser's OPTIONS reaches it. The client's address is `req.ip`: set `trust proxy` behind one.
 *
 * @throws HubError `INVALID_OPTION`
 * @example
 * app.get('/api/events/stream', eventStream(hub, {
 *   authorize: async (req) => {
 *     const user = await verify(req.get('authorization'))
 *     return user && { projectId: user.projectId, userId: user.id }
 *   },
 * }))
 */
export function eventStream(hub: AnyHub, options: EventStreamOptions<Request>): RequestHandler {
  assertStreamOptions(hub, options)
  return (req, res) => void serveNode(hub, options, req, req, res, { url: req.originalUrl, ip: req.ip })
}

/**
 * A route handler that answers with `hub.stats()` as JSON.
 *
 * @throws HubError `INVALID_OPTION`
 * @example
 * app.get('/api/events/stats', requireAdmin, eventStats(hub))
 */
export function eventStats(hub: AnyHub): RequestHandler {
  assertHub(hub)
  return (_req, res) => void res.set('cache-control', 'no-store').json(hub.stats())
}
