import { HubError } from '@entitycast/sse-server'
import { reasonOf, type SessionListener } from './postgres-session'
import type { Wire } from './postgres-wire'

/** The first wait before PostgreSQL is dialled again, and the longest, in milliseconds. Each is a random part of what it may be. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000
const LEAST_WAIT_MS = 20
/** A wire that held for so long was a good one: the waits begin anew. */
const STABLE_MS = 5_000

/**
 * The tables or functions are not there or are other ones than this session knows, the server is going, or is not the one that takes writes:
 * only a new wire's checks can tell what to do.
 */
const ANOTHER_SERVER = new Set(['42P01', '42883', '3F000', '0A000', '26000', 'XX000', '57P01', '57P02', '57P03'])

/**
 * Only reading is allowed: it was made a standby; or a host whose disk is nearly full has it so, for sessions that begin. Those are tried now
 * and then, and read meanwhile.
 */
const READ_ONLY = '25006'

export interface LinkOptions {
  readonly dial: (listener: SessionListener) => Wire
  /** It can be used. */
  readonly up: () => void
  readonly notified: SessionListener['notified']
  readonly timeoutMs: number
}

interface Waiter {
  resolve(wire: Wire): void
  reject(error: Error): void
}

/** A wire to PostgreSQL that is there again after it was lost. One loop dials, and waits between two attempts. */
export class Link {
  #wire: Wire | undefined
  /** Ends the wire that is there or being made. */
  #lose: (error?: unknown) => void = () => {}
  #endWait: () => void = () => {}
  #upAt = 0
  #closed = false
  #refusing = false
  #trouble = 'is not connected yet'
  /** What has to be mended by hand before there can be a wire. */
  #refusal: HubError | undefined
  readonly #waiters = new Set<Waiter>()

  constructor(readonly options: LinkOptions) {
    void this.#run()
  }

  /** Whether statements can be sent now. */
  get isUp(): boolean {
    return this.#wire !== undefined
  }

  /**
   * Runs a command as soon as there is a wire for it. Both together take at most the timeout; a wire that gives no answer is given up.
   *
   * @throws HubError `UNAVAILABLE`, `CLOSED`, and what `Wire.connect` throws
   */
  async use<Result>(command: (wire: Wire) => Promise<Result>, deadline?: number): Promise<Result> {
    if (this.#refusing) throw closed()
    if (!this.#wire && this.#refusal) throw copyOf(this.#refusal)
    const { timeoutMs } = this.options
    const leftMs = deadline === undefined ? timeoutMs : Math.max(0, deadline - performance.now())
    const waiter: Waiter = { resolve: () => {}, reject: () => {} }
    let used: Wire | undefined
    const answer = async (): Promise<Result> => {
      used = this.#wire ?? (await this.#wait(waiter))
      try {
        return await command(used)
      } catch (error) {
        if (error instanceof HubError) throw error
        if (this.#closed) throw closed()
        const reason = reasonOf(error)
        const isOver = reason === READ_ONLY ? performance.now() - this.#upAt > STABLE_MS : ANOTHER_SERVER.has(reason)
        if (isOver) this.drop(used)
        throw unavailable(`answered ${reason}`, reason)
      }
    }
    let timer: NodeJS.Timeout | undefined
    let isSettled = false
    const late = new Promise<never>((_, reject) => {
      // Somebody waits for the answer, so this one keeps the process alive. What has come meanwhile is read first: a process that stood
      // still must not blame PostgreSQL.
      timer = setTimeout(() => {
        setImmediate(() => {
          if (isSettled) return
          // Where statements are answered, and only too many of them wait, the wire is a good one.
          if (used && used.silentMs >= timeoutMs * 0.9) this.drop(used)
          reject(
            unavailable(
              used ? `did not answer within ${timeoutMs} ms, and may still do what it was asked` : this.#trouble,
            ),
          )
        })
      }, leftMs)
    })
    try {
      return await Promise.race([answer(), late])
    } finally {
      isSettled = true
      clearTimeout(timer)
      this.#waiters.delete(waiter)
    }
  }

  /** Gives a wire up that cannot be trusted any more. */
  drop(wire = this.#wire): void {
    if (wire !== undefined && wire === this.#wire) this.#lose()
  }

  /** Takes no more commands. Those that were sent are still answered. */
  refuse(): void {
    this.#refusing = true
    this.#rejectWaiters(closed)
  }

  close(): void {
    this.refuse()
    this.#closed = true
    this.#endWait()
    this.#lose()
  }

  #wait(waiter: Waiter): Promise<Wire> {
    return new Promise((resolve, reject) => {
      waiter.resolve = resolve
      waiter.reject = reject
      this.#waiters.add(waiter)
    })
  }

  #rejectWaiters(error: () => Error): void {
    for (const { reject } of this.#waiters) reject(error())
    this.#waiters.clear()
  }

  async #run(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const heldMs = await this.#hold()
      if (heldMs >= STABLE_MS) attempt = 0
      if (this.#closed) return
      const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10))
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LEAST_WAIT_MS + Math.random() * most).unref()
        this.#endWait = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      if (this.#closed) return
    }
  }

  /** Dials, and resolves when that wire is lost, or could not be had: with how long it could be used, in milliseconds. */
  async #hold(): Promise<number> {
    const { dial, up, notified, timeoutMs } = this.options
    let lose: (error?: unknown) => void = () => {}
    const lost = new Promise<false>((resolve) => {
      lose = (error) => {
        if (error !== undefined) this.#trouble = `could not be reached (${reasonOf(error)})`
        resolve(false)
      }
    })
    this.#lose = lose
    let wire: Wire | undefined
    let timer: NodeJS.Timeout | undefined
    try {
      const dialled = dial({
        notified: (channel, payload) => {
          if (wire === this.#wire) notified(channel, payload)
        },
        lost: lose,
      })
      wire = dialled
      timer = setTimeout(() => lose({ code: 'ETIMEDOUT' }), timeoutMs).unref()
      const isReady = await Promise.race([dialled.connect().then(() => true), lost])
      clearTimeout(timer)
      if (!isReady || this.#closed) return 0
      this.#wire = wire
      this.#refusal = undefined
      const upAt = performance.now()
      this.#upAt = upAt
      this.#trouble = 'has closed the connection'
      for (const { resolve } of this.#waiters) resolve(wire)
      this.#waiters.clear()
      up()
      await lost
      return performance.now() - upAt
    } catch (error) {
      this.#refusal = error instanceof HubError ? error : undefined
      const refusal = this.#refusal
      if (refusal) this.#rejectWaiters(() => copyOf(refusal))
      this.#trouble = `could not be reached (${reasonOf(error)})`
      return 0
    } finally {
      clearTimeout(timer)
      this.#wire = undefined
      wire?.end(this.#closed)
    }
  }
}

/** @returns what a call gets after the end */
export function closed(): HubError {
  return new HubError('CLOSED', 'The adapter is closed')
}

/** What a call gets that was refused, or not answered. `sqlState` is there where the server has said why. */
export function unavailable(trouble: string, sqlState?: string): HubError & { sqlState?: string } {
  const error = new HubError('UNAVAILABLE', `The event log is not available: PostgreSQL ${trouble}`, {
    retryAfterMs: 5_000,
  })
  return sqlState === undefined ? error : Object.assign(error, { sqlState })
}

/** Each call gets an error of its own, with its own stack. */
function copyOf({ code, message, retryAfterMs }: HubError): HubError {
  return new HubError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs })
}
