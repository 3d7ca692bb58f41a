import { EventSubscriber } from '@entitycast/sse-client'
import { EventSource } from 'eventsource'
import { createEventSource } from 'eventsource-client'

/** A client that is connected: what it shows, and what it has told the application. */
export interface Running {
  state(): string
  /** Each thing once, and how often. */
  readonly told: Map<string, number>
  close(): void
}

export interface Client {
  readonly name: string
  start(url: string): Running
}

const STATES = ['connecting', 'open', 'closed']

function teller() {
  const told = new Map<string, number>()
  return { told, tell: (what: string) => void told.set(what, (told.get(what) ?? 0) + 1) }
}

/** Those that run in Node, as their manuals show them, with no options. */
export const clients: readonly Client[] = [
  {
    name: 'ours',
    start(url) {
      const { told, tell } = teller()
      const updates = new EventSubscriber(url)
      updates.onError(({ code }) => tell(code))
      updates.onResync(({ reason }) => tell(`resync: ${reason}`))
      updates.connect()
      return { told, state: () => updates.state, close: () => updates.close() }
    },
  },
  {
    name: 'eventsource',
    start(url) {
      const { told, tell } = teller()
      const source = new EventSource(url)
      source.addEventListener('error', ({ code, message }) => tell(`error ${code ?? ''} ${message ?? ''}`.trim()))
      return { told, state: () => STATES[source.readyState] ?? '', close: () => source.close() }
    },
  },
  {
    name: 'eventsource-client',
    start(url) {
      const { told, tell } = teller()
      const source = createEventSource({ url, onDisconnect: () => tell('onDisconnect') })
      return { told, state: () => source.readyState, close: () => source.close() }
    },
  },
]
