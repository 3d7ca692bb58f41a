import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'
import type { Contender } from './contender'
import { frameOf } from './event'
import { listening } from './listening'

/** `ws`: one text to every WebSocket. */
export function webSockets(): Contender {
  const server = createServer()
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  return {
    listen: () => listening(server),
    publish(events) {
      for (const event of events) {
        const text = Buffer.from(frameOf(event))
        for (const socket of sockets.clients) socket.send(text, { binary: false })
      }
    },
    get open() {
      return sockets.clients.size
    },
  }
}
