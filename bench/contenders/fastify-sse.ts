import fastifySse from '@fastify/sse'
import Fastify, { type FastifyReply } from 'fastify'
import type { Contender } from './contender'
import { EVENT_NAME, idOf, payloadOf } from './event'
import { listening } from './listening'

/** `@fastify/sse`: `reply.sse.send` on each open reply. */
export function fastifyPlugin(): Contender {
  const replies = new Set<FastifyReply>()
  return {
    async listen() {
      const app = Fastify()
      await app.register(fastifySse)
      app.get('/stream', { sse: true }, async (_request, reply) => {
        reply.sse.keepAlive()
        reply.sse.sendHeaders()
        // The plugin only puts them down: they would wait for the first event.
        reply.raw.flushHeaders()
        replies.add(reply)
        reply.sse.onClose(() => replies.delete(reply))
      })
      await app.ready()
      return listening(app.server)
    },
    publish(events) {
      for (const event of events) {
        const message = { event: EVENT_NAME, id: idOf(event), data: payloadOf(event) }
        for (const reply of replies) void reply.sse.send(message)
      }
    },
    get open() {
      return replies.size
    },
  }
}
