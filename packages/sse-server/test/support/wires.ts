import { createServer, connect as dial, type Server, type Socket } from 'node:net'

/** Between a client and a server: it may swallow what both say, or cut them off. */
export class Wires {
  readonly #sockets = new Set<Socket>()
  #isSwallowing = false

  private constructor(
    readonly server: Server,
    public target: number,
  ) {}

  static async start(target: number): Promise<Wires> {
    const server = createServer()
    const proxy = new Wires(server, target)
    server.on('connection', (near) => proxy.#join(near))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.server.address() as { port: number }).port
  }

  swallow(isSwallowing: boolean): void {
    this.#isSwallowing = isSwallowing
  }

  /** Ends all connections. New ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  end(): void {
    this.cut()
    this.server.close()
  }

  #join(near: Socket): void {
    const far = dial(this.target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from)
      from.on('data', (bytes) => this.#isSwallowing || to.write(bytes))
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
  }
}
