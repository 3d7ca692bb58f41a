import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import type { Contender, ServerOptions } from './contender'
import { frameOf, heartbeatOf } from './event'
import { listening } from './listening'

/** The limit of Node: one prebuilt chunk for the whole turn, given to each socket past its response. No cursors, no retention, no limits. */
export function socketWrite(): Contender {
  const sockets = new Set<Socket>()
  const write = (text: string) => {
    const chunk = Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
    for (const socket of sockets) socket.write(chunk)
  }
  return {
    listen({ heartbeatMs }: ServerOptions) {
      if (heartbeatMs) setInterval(() => write(heartbeatOf()), heartbeatMs)
      return listening(
        createServer((_req, res) => {
          res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
          res.write('event: connected\ndata: {}\n\n')
          const { socket } = res
          if (!socket) return
          sockets.add(socket)
          res.on('close', () => sockets.delete(socket))
        }),
      )
    },
    publish(events) {
      write(events.map(frameOf).join(''))
    },
    get open() {
      return sockets.size
    },
  }
}
