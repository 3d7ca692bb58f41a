import type { Clock, Fetch, Random, StreamRequestInit, StreamResponse } from '@entitycast/sse-client'
import { Following } from './tabs-follower'
import { Leader, type Told } from './tabs-leader'
import type { TabChannel, TabPorts } from './tabs-ports'
import { Tape } from './tabs-tape'

type Message =
  | Told
  | { readonly type: 'ask'; readonly request: string; readonly cursor: string | undefined }
  /** From those who follow: is anybody there? */
  | { readonly type: 'ping' }
  /** From the one who leads: yes. */
  | { readonly type: 'pong' }
  /** There is another leader: whoever waits asks again. */
  | { readonly type: 'lead' }
  /** From a new leader, to those who have seen more: tell me. */
  | { readonly type: 'behind'; readonly head: string }
  | { readonly type: 'more'; readonly after: string; readonly entries: readonly string[] }

/** A leader that says nothing for this long is asked; one that does not answer for twice as long is replaced. */
const PATIENCE_MS = 2_500
/** Tabs that have noticed in the same moment do not act in the same moment. */
const SPREAD_MS = 1_000
/** A leader that others wait for, and that has asked the server for nothing for this long, lets another one try. */
const IDLE_MS = 15_000

interface Claim {
  /** Leaves the queue. */
  readonly queue: AbortController
  release?: () => void
}

/** So long a new leader waits to be told by others what it has not seen. */
const ROLL_CALL_MS = 100

/** What a member runs on. */
export interface MemberSettings {
  /** The same for the tabs that share, and for no others. */
  readonly name: string
  readonly fetch: Fetch
  readonly maxBlockChars: number
  readonly clock: Clock
  readonly random: Random
}

/** Who is told what becomes of a member. */
export interface MemberListener {
  /** A stream is open: there is no use in waiting. */
  open(): void
  /** It leads now, or does so no longer. */
  led(): void
}

/**
 * One tab among those that share a connection. To its subscriber it is a `fetch`: where this tab leads, the request goes to the server;
 * where it follows, the leading tab answers. It begins with the first request, and ends with `leave()`.
 */
export class Member {
  readonly #settings: MemberSettings
  readonly #ports: TabPorts
  readonly #to: MemberListener
  readonly #tape = new Tape()
  readonly #following = new Set<Following>()
  readonly #requests = new Map<Following, { url: string; init: StreamRequestInit }>()
  #channel: TabChannel | undefined
  #leader: Leader | undefined
  /** The request for the lock: in the queue, or granted. */
  #claim: Claim | undefined
  #rollCall: { readonly over: Promise<void>; readonly end: () => void } | undefined
  #stopWatch: (() => void) | undefined
  #stopIdle: (() => void) | undefined
  #heard = false
  #asked = 0

  constructor(settings: MemberSettings, ports: TabPorts, to: MemberListener) {
    this.#settings = settings
    this.#ports = ports
    this.#to = to
  }

  get isLeader(): boolean {
    return this.#leader !== undefined
  }

  readonly fetch: Fetch = (url, init) => {
    // It was given up while a roll was called.
    if (init.signal.aborted) return Promise.reject(init.signal.reason)
    this.#channel ??= this.#ports.openChannel(this.#settings.name, (message) => {
      try {
        this.#hear(message as Message)
      } catch {
        // Any script of the origin, and any version of this one, may say what it likes.
      }
    })
    return this.#leader ? this.#lead(url, init) : this.#follow(url, init)
  }

  /** The subscriber wants no stream: another tab may lead. */
  leave(): void {
    this.#resign()
    for (const { onOver } of [...this.#following]) onOver()
    this.#channel?.close()
    this.#channel = undefined
  }

  async #lead(url: string, init: StreamRequestInit): Promise<StreamResponse> {
    await this.#rollCall?.over
    return this.#leader ? this.#leader.lead(url, init, this.#settings.fetch) : this.fetch(url, init)
  }

  #follow(url: string, init: StreamRequestInit): Promise<StreamResponse> {
    const request = Math.random().toString(36).slice(2)
    const onOver = () => {
      init.signal.removeEventListener('abort', onOver)
      this.#requests.delete(following)
      if (this.#following.delete(following) && this.#following.size === 0) this.#stopWatching()
    }
    const following = new Following(request, init.headers['last-event-id'], onOver)
    init.signal.addEventListener('abort', onOver)
    this.#following.add(following)
    this.#requests.set(following, { url, init })
    // Whichever comes first: this tab leads, or the one that leads answers.
    this.#claim ??= this.#request()
    this.#stopWatch ??= this.#watch(PATIENCE_MS)
    this.#ask(following)
    return following.response
  }

  #ask({ request, cursor }: Following): void {
    this.#post({ type: 'ask', request, cursor })
  }

  #post(message: Message): void {
    this.#channel?.post(message)
  }

  #hear(message: Message): void {
    if (this.#leader?.isDeaf) this.#resign()
    const leader = this.#leader
    if (message.type === 'ask') {
      leader?.ask(message.request, message.cursor)
      if (leader?.isIdle) this.#stopIdle ??= this.#settings.clock.after(IDLE_MS, () => this.#idle())
      return
    }
    if (message.type === 'ping') {
      if (leader) this.#post({ type: 'pong' })
      return
    }
    if (message.type === 'behind' || message.type === 'more') {
      this.#compare(message)
      return
    }
    // Two leaders are possible for the moment until one hears that its lock was stolen.
    if (leader) return
    this.#heard = true
    const following = [...this.#following]
    if (message.type === 'lead') {
      for (const one of following) if (one.isWaiting) this.#ask(one)
    } else if (message.type === 'open') {
      for (const one of following) one.replaced(message.term)
      this.#to.open()
    } else if (message.type === 'answer')
      following.find(({ request }) => request === message.request)?.answer(message, this.#tape)
    else if (message.type === 'refused') {
      for (const one of following) if (message.requests.includes(one.request)) one.refuse(message.refusal)
    } else if (message.type === 'blocks') for (const one of following) one.blocks(message, this.#tape)
    else if (message.type === 'end') for (const one of following) one.end(message.term, message.cut)
  }

  /** Asks for the lock. It is kept until `leave()`, so that a server that is down hears from one tab, not from twenty. */
  #request(steal?: true): Claim {
    const claim: Claim = { queue: new AbortController() }
    const granted = () => {
      if (this.#claim !== claim) return undefined
      return new Promise<void>((release) => {
        claim.release = release
        this.#promote()
      })
    }
    // It rejects where it was withdrawn, and where another tab has stolen it; and at once where locks are denied, as they are where a page
    // may store nothing: then each tab connects by itself.
    this.#ports.locks
      .request(this.#settings.name, steal ? { steal } : { signal: claim.queue.signal }, granted)
      .catch(() => {
        if (this.#claim !== claim) return
        if (claim.release) this.#resign()
        else this.#promote()
      })
    return claim
  }

  #promote(): void {
    const { maxBlockChars, clock } = this.#settings
    const leader = new Leader(
      this.#tape,
      (message) => this.#post(message),
      maxBlockChars,
      () => clock.now(),
    )
    this.#leader = leader
    this.#stopWatching()
    const requests = [...this.#requests]
    this.#requests.clear()
    this.#following.clear()
    this.#callRoll()
    this.#post({ type: 'lead' })
    for (const [following, { url, init }] of requests) {
      if (following.isWaiting) following.pass(this.#lead(url, init))
      else following.rotate()
    }
    this.#to.led()
  }

  /** Gives up the lock, or its place in the queue; or has lost it. */
  #resign(): void {
    this.#rollCall?.end()
    const leader = this.#leader
    this.#leader = undefined
    this.#stopIdle?.()
    this.#stopIdle = undefined
    leader?.close()
    this.#stopWatching()
    const claim = this.#claim
    this.#claim = undefined
    claim?.queue.abort()
    claim?.release?.()
    if (leader) this.#to.led()
  }

  #stopWatching(): void {
    this.#stopWatch?.()
    this.#stopWatch = undefined
  }

  /** The last that an old leader has said may have reached others and not this tab: nobody's cursor may lie beyond what a leader knows. */
  #callRoll(): void {
    const { head } = this.#tape
    if (head === undefined) return
    let end = () => {}
    const over = new Promise<void>((resolve) => {
      const cancel = this.#settings.clock.after(ROLL_CALL_MS, () => end())
      end = () => {
        cancel()
        this.#rollCall = undefined
        resolve()
      }
    })
    this.#rollCall = { over, end }
    this.#post({ type: 'behind', head })
  }

  #compare(message: Extract<Message, { type: 'behind' | 'more' }>): void {
    if (message.type === 'behind') {
      const { head } = message
      const entries = this.#leader || head === this.#tape.head ? [] : (this.#tape.after(head) ?? [])
      if (entries.length > 0) this.#post({ type: 'more', after: head, entries })
    } else if (this.#rollCall && message.after === this.#tape.head) {
      this.#tape.resume()
      for (const text of message.entries) this.#tape.record(text)
      const { head } = this.#tape
      // Another one may have seen even more.
      if (head !== undefined && head !== message.after) this.#post({ type: 'behind', head })
    }
  }

  #idle(): void {
    this.#stopIdle = undefined
    if (this.#leader?.isIdle) this.#resign()
  }

  /** Looks after the leader for as long as this tab follows. */
  #watch(delayMs: number): () => void {
    return this.#settings.clock.after(delayMs, () => {
      if (this.#heard) this.#asked = 0
      else if (this.#asked++ === 3) {
        // After the pings, twice the patience, and the spread.
        this.#steal()
        return
      } else this.#post({ type: 'ping' })
      this.#heard = false
      const spreadMs = this.#asked === 3 ? SPREAD_MS * this.#settings.random() : PATIENCE_MS
      this.#stopWatch = this.#watch(spreadMs)
    })
  }

  #steal(): void {
    this.#asked = 0
    this.#stopWatch = undefined
    const queued = this.#claim
    this.#claim = this.#request(true)
    queued?.queue.abort()
  }
}
