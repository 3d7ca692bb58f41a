import { createServer } from 'node:http'
import { Server } from 'socket.io'
import type { Contender } from './contender'
import { EVENT_NAME, payloadOf } from './event'
import { listening } from './listening'

/** socket.io over WebSocket: `io.emit`. Its pings are put off: the load generator does not answer. */
export function socketIo(): Contender {
  const server = createServer()
  const io = new Server(server, { pingInterval: 3_600_000, transports: ['websocket'] })
  return {
    listen: () => listening(server),
    publish(events) {
      for (const event of events) io.emit(EVENT_NAME, payloadOf(event))
    },
    get open() {
      return io.of('/').sockets.size
    },
  }
}
