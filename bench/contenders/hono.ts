import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import type { Contender } from './contender'
import { EVENT_NAME, idOf, payloadOf } from './event'
import { listening } from './listening'

/** Hono's `streamSSE` on Node. */
export function hono(): Contender {
  const streams = new Set<SSEStreamingApi>()
  return {
    listen() {
      const app = new Hono()
      app.get('/stream', (context) =>
        streamSSE(context, async (stream) => {
          streams.add(stream)
          await new Promise<void>((resolve) => stream.onAbort(resolve))
          streams.delete(stream)
        }),
      )
      return listening(createAdaptorServer({ fetch: app.fetch }) as Server)
    },
    publish(events) {
      for (const event of events) {
        const message = { event: EVENT_NAME, id: idOf(event), data: JSON.stringify(payloadOf(event)) }
        for (const stream of streams) void stream.writeSSE(message)
      }
    },
    get open() {
      return streams.size
    },
  }
}
