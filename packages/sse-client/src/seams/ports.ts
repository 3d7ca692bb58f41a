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
 * Tells when waiting has become pointless: back online, visible again, back from the back/forward cache (`restored`: then no stream
 * can have survived). The result takes the listener away.
 */
export type Wakes = (onWake: (restored: boolean) => void) => () => void

/** What the subscriber runs on; what is not given is the platform's. */
export interface Ports {
  readonly clock: Clock
  readonly random: Random
  readonly wakes: Wakes
}

/** The part of `RequestInit` that the subscriber uses. */
export interface StreamRequestInit {
  method: 'GET'
  headers: Record<string, string>
  cache: 'no-store'
  /** A redirect is never followed: it could carry credentials to another origin. */
  redirect: 'manual'
  signal: AbortSignal
  credentials?: 'omit' | 'same-origin' | 'include'
}

/** The part of a `Response` that the subscriber reads. */
export interface StreamResponse {
  readonly status: number
  readonly type?: string
  readonly redirected?: boolean
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
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}

/** The page's and the network's return, in a browser; never, elsewhere. */
export const pageWakes: Wakes = (onWake) => {
  const { document } = globalThis
  const listeners: [EventTarget | undefined, string, (event: Event) => void][] = [
    [globalThis as unknown as EventTarget, 'online', () => onWake(false)],
    [globalThis as unknown as EventTarget, 'pageshow', (event) => onWake(!!(event as PageTransitionEvent).persisted)],
    [document, 'visibilitychange', () => document.visibilityState === 'visible' && onWake(false)],
  ]
  for (const [target, type, listener] of listeners) target?.addEventListener?.(type, listener)
  return () => {
    for (const [target, type, listener] of listeners) target?.removeEventListener?.(type, listener)
  }
}
