import {
  type ConnectionSnapshot,
  EventSubscriber,
  type Fetch,
  type Ports,
  SubscriberError,
  type SubscriberOptions,
  systemClock,
} from '@entitycast/sse-client'
import { type EventDefinitions, quote } from '@entitycast/sse-protocol'
import { Member } from './tabs-member'
import { browserTabs, type TabPorts } from './tabs-ports'

export type { TabChannel, TabLocks, TabPorts } from './tabs-ports'

export interface SharedOptions extends SubscriberOptions {
  /**
   * Who is signed in: the user's id, or another name for what the server lets this tab see; not a token. Only tabs with the same address,
   * project, channels and identity share, because the leading tab's headers and cookies decide what all of them are given.
   */
  identity: string
}

/** What tabs that share run on; what is not given is the platform's. */
export interface SharedPorts extends Partial<Ports> {
  readonly tabs?: TabPorts
}

/**
 * One connection for all tabs of the same user: a browser opens at most six connections to a server over HTTP/1.1, and a stream takes one.
 * It is an {@link EventSubscriber} like any other, with its own handlers and its own cursor; its `role` says whether this tab is the
 * one that is connected. When that tab is closed, reloaded or frozen, another one goes on where it was.
 *
 * Where the browser has no Web Locks or no BroadcastChannel, each tab connects by itself: `role` is `single`.
 *
 * @throws SubscriberError `INVALID_OPTION`; ProtocolError `INVALID_PROJECT_ID`, `INVALID_CHANNEL`
 * @example
 * const updates = shareAcrossTabs('/api/events/stream', { projectId, identity: user.id, headers })
 * updates.subscribe('document:*', (event) => { rows = applyEntityEvent(rows, event) })
 * updates.connect()
 */
export function shareAcrossTabs<Definitions extends EventDefinitions = EventDefinitions>(
  url: string | URL,
  options: SharedOptions,
  ports: SharedPorts = {},
): EventSubscriber<Definitions> {
  const { identity } = options
  if (typeof identity !== 'string' || identity === '') {
    const message = `identity is ${quote(identity)}; it must be the id of the user who is signed in`
    throw new SubscriberError('INVALID_OPTION', message, { retrying: false })
  }
  const tabs = ports.tabs ?? browserTabs()
  return tabs ? new SharedSubscriber(url, options, ports, tabs) : new EventSubscriber(url, options, ports)
}

const DEFAULT_MAX_EVENT_BYTES = 1_048_576
/** Beside its data a block has names and a cursor. */
const FIELD_CHARS = 2_048

class SharedSubscriber<Definitions extends EventDefinitions> extends EventSubscriber<Definitions> {
  readonly #member: Member
  #snapshot: { readonly of: ConnectionSnapshot; readonly shared: ConnectionSnapshot } | undefined

  constructor(url: string | URL, options: SharedOptions, ports: SharedPorts, tabs: TabPorts) {
    let fetch: Fetch | undefined
    super(url, { ...options, fetch: (...request) => (fetch as Fetch)(...request) }, ports)
    const { clock = systemClock, random = Math.random } = ports
    const settings = {
      name: `entitycast/1 ${JSON.stringify([addressOf(url), options.projectId, options.channels, options.identity])}`,
      fetch: options.fetch ?? ((address, init) => (globalThis.fetch as Fetch)(address, init)),
      maxBlockChars: (options.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES) + FIELD_CHARS,
      clock,
      random,
    }
    this.#member = new Member(settings, tabs, {
      // What it waits for is not the server: it is not asked.
      open: () => super.getSnapshot().nextRetryAt !== undefined && this.reconnect(),
      led: () => this.changed(),
    })
    fetch = this.#member.fetch
    this.onChange(({ state }) => state === 'disconnected' && this.#member.leave())
  }

  override getSnapshot(): ConnectionSnapshot {
    const of = super.getSnapshot()
    // The base class looks once before there is a member.
    if (!(#member in this)) return of
    const role = this.#member.isLeader ? 'leader' : 'follower'
    if (this.#snapshot?.of !== of || this.#snapshot.shared.role !== role) {
      this.#snapshot = { of, shared: Object.freeze({ ...of, role }) }
    }
    return this.#snapshot.shared
  }
}

/** Tabs at different paths may write the same address in different ways. */
function addressOf(url: string | URL): string {
  return globalThis.location ? new URL(url, globalThis.location.href).href : String(url)
}
