import { createServer } from 'node:http'
import express, { type Response } from 'express'
import type { Contender } from './contender'
import { EVENT_NAME, idOf, payloadOf } from './event'
import { listening } from './listening'
import { verify } from './token'

/** Express, as tutorials write it: a list of responses, and `JSON.stringify` for each of them. */
export function expressByHand(): Contender {
  const clients: Response[] = []
  return {
    listen({ authorize }) {
      const app = express()
      app.get('/stream', async (req, res) => {
        if (authorize && (await verify(req.get('authorization'))) === null) {
          res.sendStatus(401)
          return
        }
        res.set({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache, no-transform' })
        res.flushHeaders()
        clients.push(res)
        res.on('close', () => clients.splice(clients.indexOf(res), 1))
      })
      return listening(createServer(app))
    },
    publish(events) {
      for (const event of events) {
        const payload = payloadOf(event)
        for (const res of clients) {
          res.write(`event: ${EVENT_NAME}\nid: ${idOf(event)}\ndata: ${JSON.stringify(payload)}\n\n`)
        }
      }
    },
    get open() {
      return clients.length
    },
  }
}
