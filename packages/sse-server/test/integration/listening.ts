import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'

/** A server on a free port of 127.0.0.1. */
export interface Listening {
  readonly url: string
  /** Open sockets. */
  sockets(): Promise<number>
  /** Stops listening, and waits until the last connection has ended by itself. */
  close(): Promise<void>
}

export async function listening(server: Server | NetServer): Promise<Listening> {
  if (!server.listening) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets: () => socketsOf(server),
    close: () => new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve()))),
  }
}

export function socketsOf(server: NetServer): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  )
}
