import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Starts a server on a free port of 127.0.0.1, with room for every client that comes at once. `exclusive`: one that no other worker shares. */
export function listening(server: Server, { exclusive = false } = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096, exclusive }, () =>
      resolve((server.address() as AddressInfo).port),
    )
  })
}
