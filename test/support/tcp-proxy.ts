import net from 'node:net'

export interface ProxyOptions {
  /** Each way, in milliseconds. */
  latencyMs: number
  /** What a connection brings to the client comes one byte at a time, and after the first 2,000 bytes in pieces of up to 100. */
  singleBytes: boolean
}

const SINGLE_BYTES = 2_000
const PIECE_BYTES = 100

interface Pair {
  readonly client: net.Socket
  readonly server: net.Socket
  /** Nothing passes any more, and nobody is told. */
  silent: boolean
  /** It is reset as soon as a part of what the server has sent has passed, and the rest has not. */
  doomed: boolean
}

/** A TCP proxy that does what bad networks do. */
export class TcpProxy {
  port = 0
  options: ProxyOptions = { latencyMs: 0, singleBytes: false }
  /** New connections are taken, and nothing ever comes. */
  blackHole = false
  readonly #pairs = new Set<Pair>()
  readonly #server = net.createServer((client) => this.#connect(client))

  constructor(readonly target: () => number) {}

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.port = (this.#server.address() as net.AddressInfo).port
  }

  /** Open connections through it. */
  get size(): number {
    return this.#pairs.size
  }

  /** Resets every connection, in mid-frame or not. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
  }

  /** Resets every connection in the middle of what it brings to the client next. */
  cutInside(): void {
    for (const pair of this.#pairs) pair.doomed = true
  }

  /** Every connection falls silent: packets are lost both ways, and nobody is told. */
  vanish(): void {
    for (const pair of this.#pairs) pair.silent = true
  }

  /** The server's side is gone, and the client is not told. */
  halfOpen(): void {
    for (const pair of this.#pairs) {
      pair.silent = true
      pair.server.resetAndDestroy()
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.cut()
    await closed
  }

  #connect(client: net.Socket): void {
    const server = net.connect(this.target(), '127.0.0.1')
    const pair: Pair = { client, server, silent: this.blackHole, doomed: false }
    this.#pairs.add(pair)
    this.#pipe(pair, client, server, false)
    this.#pipe(pair, server, client, true)
    const end = () => {
      if (pair.silent && !client.destroyed) return
      this.#pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.on('error', () => {}).on('close', end)
  }

  #pipe(pair: Pair, from: net.Socket, to: net.Socket, toClient: boolean): void {
    const arrived: { bytes: Buffer; at: number }[] = []
    let passed = 0
    let passing = false
    to.setNoDelay(true)
    const pass = async () => {
      for (let next = arrived.shift(); next; next = arrived.shift()) {
        const waitMs = next.at + this.options.latencyMs - performance.now()
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
        for (let at = 0; at < next.bytes.length; ) {
          const { singleBytes } = this.options
          const size = !singleBytes || !toClient ? next.bytes.length : passed < SINGLE_BYTES ? 1 : PIECE_BYTES
          if (pair.silent || to.destroyed) return
          to.write(next.bytes.subarray(at, at + size))
          at += size
          passed += size
          if (at >= next.bytes.length) break
          if (pair.doomed && toClient) {
            for (const socket of [to, from]) socket.resetAndDestroy()
            return
          }
          // What is written in one turn of the event loop arrives in one piece.
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      passing = false
    }
    from.on('data', (bytes) => {
      arrived.push({ bytes, at: performance.now() })
      if (passing) return
      passing = true
      void pass()
    })
  }
}
