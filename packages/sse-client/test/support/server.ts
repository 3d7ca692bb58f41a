import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { EventSubscriber, type SubscriberError, type SubscriberOptions } from '@entitycast/sse-client'
import type { ProjectEvent } from '@entitycast/sse-protocol'
import { onTestFinished, vi } from 'vitest'

export interface Served {
  url: string
  requests: IncomingMessage[]
  /** Requests that are not over. Not sockets: after one is cut, Node's `fetch` opens another to have one at hand. */
  readonly open: number
}

/** A server on a free port that does what the test says, for as long as the test runs. */
export async function serve(
  respond: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<Served> {
  const requests: IncomingMessage[] = []
  const sockets = new Set<Socket>()
  const open = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    open.add(response)
    response.on('error', () => {})
    response.on('close', () => open.delete(response))
    respond(request, response, requests.push(request))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    requests,
    get open() {
      return open.size
    },
  }
}

export function streamHead(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  response.flushHeaders()
}

/** A real subscriber with the platform's `fetch` and clock, which waits as short as it may, and whatever it was told. */
export function follow(
  url: string,
  options: SubscriberOptions = {},
  { random = () => 0 }: { random?: () => number } = {},
) {
  const subscriber = new EventSubscriber(url, options, { random })
  const events: ProjectEvent[] = []
  const errors: SubscriberError[] = []
  const states: string[] = []
  const resyncs: string[] = []
  subscriber.on('*', (event) => events.push(event))
  subscriber.onError((error) => errors.push(error))
  subscriber.onState((state) => states.push(state))
  subscriber.onResync(({ reason }) => resyncs.push(reason))
  subscriber.connect()
  onTestFinished(() => subscriber.close())
  return {
    subscriber,
    events,
    errors,
    states,
    resyncs,
    get ids() {
      return events.map(({ id }) => id)
    },
    get codes() {
      return errors.map(({ code }) => code)
    },
  }
}

/** Waits until it is so; the machine may be busy. */
export function until<Value>(check: () => Value): Promise<Value> {
  return vi.waitFor(check, { timeout: 15_000, interval: 10 })
}
