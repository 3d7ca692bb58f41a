import { createServer, type Server } from 'node:net'

/** A server that takes each connection, and drops it at once. */
export class SlammingServer {
  /** When somebody has connected, by `performance.now()`. */
  readonly times: number[] = []
  readonly #server: Server = createServer((socket) => {
    this.times.push(performance.now())
    socket.on('error', () => {}).destroy()
  })

  static async start(): Promise<SlammingServer> {
    const server = new SlammingServer()
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  end(): void {
    this.#server.close()
  }
}
