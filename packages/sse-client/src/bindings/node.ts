import { type Agent, type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import {
  type Clock,
  EventSubscriber,
  type Fetch,
  type Ports,
  type StreamReader,
  type StreamResponse,
  SubscriberError,
  type SubscriberOptions,
} from '@entitycast/sse-client'
import type { EventDefinitions } from '@entitycast/sse-protocol'

/**
 * For programs: who decides whether following keeps a process alive. The global `fetch` leaves no choice, because nobody can reach its sockets;
 * these are Node's own, and no body of theirs is ended for being silent.
 */

export interface NodeOptions {
  /**
   * Whether an open stream keeps the process alive, and so the wait for the next one, for a heartbeat, or for a renewal. Default true: until
   * `close()`. False: the process ends when nothing else is left to do. Only a connection that is just being made is waited for.
   */
  keepProcessAlive?: boolean | undefined
  /** Instead of Node's global agent: for a proxy, a certificate authority, an address to go out from. */
  agent?: Agent | undefined
}

/** What `EventSubscriber` takes; pages and cookies are a browser's. */
export interface NodeSubscriberOptions
  extends NodeOptions,
    Omit<SubscriberOptions, 'fetch' | 'credentials' | 'hidden'> {}

/**
 * An `EventSubscriber` like any other, over `node:http` and `node:https`.
 *
 * @example
 * const updates = new NodeSubscriber('https://app.example.com/api/events/stream', { projectId, headers, keepProcessAlive: false })
 * updates.subscribe('document:*', () => cache.clear())
 * updates.onResync(() => cache.clear())
 * updates.connect()     // and the program may end whenever it is done
 */
export class NodeSubscriber<
  Definitions extends EventDefinitions = EventDefinitions,
> extends EventSubscriber<Definitions> {
  /**
   * @param url a whole address, http or https
   * @throws SubscriberError `INVALID_OPTION`
   */
  constructor(url: string | URL, options: NodeSubscriberOptions = {}, ports: Partial<Ports> = {}) {
    const { keepProcessAlive, agent, ...others } = options
    if (!/^https?:\/\//i.test(String(url))) throw invalid('url', 'a whole address, http or https')
    const { fetch, clock } = nodePlatform({ keepProcessAlive, agent })
    super(url, { ...others, fetch }, { clock, ...ports })
  }
}

/**
 * The network and the time that a {@link NodeSubscriber} runs on, for whatever else takes them. A `fetch` alone is not enough: timers, too,
 * keep a process alive.
 *
 * @throws SubscriberError `INVALID_OPTION`
 * @example
 * const { fetch, clock } = nodePlatform({ keepProcessAlive: false })
 * const prices = new EventSource(url, { fetch }, { clock })
 */
export function nodePlatform(options: NodeOptions = {}): { fetch: Fetch; clock: Clock } {
  const { keepProcessAlive = true, agent } = options
  if (typeof keepProcessAlive !== 'boolean') throw invalid('keepProcessAlive', 'true or false')
  const fetch: Fetch = (url, { method, headers, signal }) =>
    new Promise((resolve, reject) => {
      const open = /^https:/i.test(url) ? overHttps : overHttp
      // Whoever compresses a stream holds events back; a reader in a data centre gains nothing by it.
      const fields = { ...headers, 'accept-encoding': 'identity' }
      const request = open(url, { method, headers: fields, signal, agent })
      if (!keepProcessAlive) {
        request.on('socket', (socket) => {
          socket.unref()
          // Of several addresses each has a handle of its own, and the last one is the socket's.
          if (socket.connecting) socket.once('connect', () => socket.unref())
        })
      }
      request.on('response', (response) => resolve(responseOf(response)))
      request.on('error', reject)
      // After the response this settles nothing. Before it: whoever answers with another protocol is told good-bye without an error.
      request.on('close', () => reject(new Error('closed without an answer')))
      request.end()
    })
  const clock: Clock = {
    now: () => Date.now(),
    after(delayMs, task) {
      // Timers count with 32 bits: what is longer, they would run at once.
      const timer = setTimeout(task, Math.min(delayMs, 2e9))
      if (!keepProcessAlive) timer.unref()
      return () => clearTimeout(timer)
    },
  }
  return { fetch, clock }
}

function responseOf(response: IncomingMessage): StreamResponse {
  // One that is refused is not read, and then it has nobody else to tell.
  response.on('error', () => {})
  const cancel = async () => void response.destroy()
  return {
    status: response.statusCode ?? 0,
    headers: { get: (name) => response.headers[name.toLowerCase()]?.toString() ?? null },
    body: { getReader: () => ({ ...readerOf(response), cancel }), cancel },
  }
}

/** Reads when it is asked to: what is not asked for stays in the socket, and then at the server. */
function readerOf(response: IncomingMessage): Pick<StreamReader, 'read'> {
  const encoding = response.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new Error(`the answer is ${encoding}, which was not asked for`)
  const chunks: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]()
  return {
    async read() {
      const { done = false, value } = await chunks.next()
      return { done, value }
    },
  }
}

function invalid(option: string, rule: string): SubscriberError {
  return new SubscriberError('INVALID_OPTION', `${option} must be ${rule}`, { retrying: false })
}
