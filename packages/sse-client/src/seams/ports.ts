/**
 * Time, chance, the network and the page, as arguments: the subscriber owns none of them, so that a seeded simulation can run it
 * in virtual time. Nothing global is touched before `connect()`.
 */
export interface Clock {
  /** Milliseconds since 1970. Time that the machine slept counts; jumps are survived. */
  now(): number
  /** Runs `task` once after `delayMs`; the result cancels it. */
  after(delayMs: number, task: () => void): () => void
}

/** A number from 0 (inclusive) to 1 (exclusive). */
export type Random = () => number

/**
 * Tells when waiting has become pointless: back online, visible again, back from the back/forward cache (`restored`: no stream can have
 * survived, because the page was in that cache or the network was gone). The result takes the listener away.
 */
export type Wakes = (onWake: (restored: boolean) => void) => () => void

/** What becomes of the page itself. */
export interface PageListener {
  /** Nobody looks at it, or somebody does again. */
  hidden(hidden: boolean): void
  /** It is left, frozen or put into the back/forward cache, which an open stream would keep it out of; or it is back. */
  away(away: boolean): void
}

/** Tells what becomes of the page, beginning with whether it is hidden now. The result takes the listener away. */
export type Page = (listener: PageListener) => () => void

/** What the subscriber runs on; what is not given is the platform's. */
export interface Ports {
  readonly clock: Clock
  readonly random: Random
  readonly wakes: Wakes
  readonly page?: Page | undefined
}

/** The part of `RequestInit` that the subscriber uses. */
export interface StreamRequestInit {
  method: 'GET'
  headers: Record<string, string>
  cache: 'no-store'
  /** A redirect is not followed: it could carry credentials to another origin. An `EventSource` without `headers` follows, as the platform's does. */
  redirect: 'manual' | 'follow'
  signal: AbortSignal
  credentials?: 'omit' | 'same-origin' | 'include' | undefined
}

/** The part of a `Response` that the subscriber reads. */
export interface StreamResponse {
  readonly status: number
  readonly type?: string
  readonly redirected?: boolean
  /** After all redirects. */
  readonly url?: string
  readonly headers: { get(name: string): string | null }
  readonly body: StreamBody | null
}

/** The part of a `ReadableStream` that the subscriber uses. */
export interface StreamBody {
  getReader(): StreamReader
  cancel(): Promise<void>
}

/** The part of a `ReadableStreamDefaultReader` that the subscriber uses. */
export interface StreamReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
  cancel(): Promise<void>
}

/** `fetch`, or whatever stands in for it. */
export type Fetch = (url: string, init: StreamRequestInit) => Promise<StreamResponse>

/** The machine's clock. A timer keeps a Node process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, task) {
    // Timers count with 32 bits: what is longer, they would run at once.
    const timer = setTimeout(task, Math.min(delayMs, 2e9))
    return () => clearTimeout(timer)
  },
}

/** The page's and the network's return, in a browser; never, elsewhere. */
export const pageWakes: Wakes = (onWake) => {
  const { document } = globalThis
  // `offline` alone proves nothing: a stream that goes on is kept. After it, `online` is another network, and the old stream is dead.
  let wasOffline = false
  return listen([
    [
      globalThis,
      'offline',
      () => {
        wasOffline = true
      },
    ],
    [
      globalThis,
      'online',
      () => {
        onWake(wasOffline)
        wasOffline = false
      },
    ],
    [globalThis, 'pageshow', (event) => onWake((event as PageTransitionEvent).persisted)],
    [document, 'visibilitychange', () => document.hidden || onWake(false)],
  ])
}

/** The browser's page; elsewhere there is none, and nothing is told. */
export const browserPage: Page = ({ hidden, away }) => {
  const { document } = globalThis
  if (document?.hidden) hidden(true)
  return listen([
    [document, 'visibilitychange', () => hidden(document.hidden)],
    [globalThis, 'pagehide', () => away(true)],
    // Whatever `persisted` says: some pages come back without it.
    [globalThis, 'pageshow', () => away(false)],
    [document, 'freeze', () => away(true)],
    [document, 'resume', () => away(false)],
  ])
}

function listen(listeners: [unknown, string, (event: Event) => void][]): () => void {
  const each = listeners as [EventTarget | undefined, string, (event: Event) => void][]
  for (const [target, type, listener] of each) target?.addEventListener?.(type, listener)
  return () => {
    for (const [target, type, listener] of each) target?.removeEventListener?.(type, listener)
  }
}
