import { createServer, type ServerResponse } from 'node:http'
import type { Contender, ServerOptions } from './contender'
import { frameOf, heartbeatOf } from './event'
import { listening } from './listening'
import { verify } from './token'

/** As long as the greeting of a server with cursors, so that opening a stream costs everyone the same bytes. */
const GREETING = `event: connected\nid: k3J9xQmB7sTzL2vR.0\nretry: 1000\ndata: ${JSON.stringify({ connectionId: 'conn_k3J9xQmB7sTzL2vR', projectId: 'proj_123', resume: 'live', heartbeatMs: 15_000 })}\n\n`

/** The yardstick: Node's http, and `res.write` of one text to every response. No cursors, no retention, no limits. */
export function plainHttp(): Contender {
  const streams = new Set<ServerResponse>()
  return {
    listen({ heartbeatMs, authorize }: ServerOptions) {
      if (heartbeatMs) {
        setInterval(() => {
          const beat = heartbeatOf()
          for (const res of streams) res.write(beat)
        }, heartbeatMs)
      }
      return listening(
        createServer(async (req, res) => {
          if (authorize && (await verify(req.headers.authorization)) === null) {
            res.writeHead(401).end()
            return
          }
          res.writeHead(200, {
            'content-type': 'text/event-stream; charset=utf-8',
            'cache-control': 'no-cache, no-transform',
            'x-accel-buffering': 'no',
            'x-content-type-options': 'nosniff',
          })
          res.write(GREETING)
          streams.add(res)
          res.on('close', () => streams.delete(res))
        }),
      )
    },
    publish(events) {
      for (const event of events) {
        const frame = frameOf(event)
        for (const res of streams) res.write(frame)
      }
    },
    get open() {
      return streams.size
    },
  }
}
