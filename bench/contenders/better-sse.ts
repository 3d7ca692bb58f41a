import { createServer } from 'node:http'
import { createChannel, createSession } from 'better-sse'
import type { Contender, ServerOptions } from './contender'
import { EVENT_NAME, idOf, payloadOf } from './event'
import { listening } from './listening'
import { verify } from './token'

/** better-sse: a session for each response, a channel that broadcasts to all. */
export function betterSse(): Contender {
  const channel = createChannel()
  return {
    listen({ heartbeatMs, authorize }: ServerOptions) {
      return listening(
        createServer(async (req, res) => {
          if (authorize && (await verify(req.headers.authorization)) === null) {
            res.writeHead(401).end()
            return
          }
          channel.register(await createSession(req, res, heartbeatMs === undefined ? {} : { keepAlive: heartbeatMs }))
        }),
      )
    },
    publish(events) {
      for (const event of events) channel.broadcast(payloadOf(event), EVENT_NAME, { eventId: idOf(event) })
    },
    get open() {
      return channel.sessionCount
    },
  }
}
