import { HubError } from '@entitycast/sse-server'
import { reasonOf, type Wire, type WireListener } from './redis-client'

/** The first wait before Redis is dialled again, and the longest, in milliseconds. Each is a random part of what it may be. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000
const LEAST_WAIT_MS = 20
/** A wire that held for so long was a good one: the waits begin anew. */
const STABLE_MS = 5_000

export interface LinkOptions {
  readonly dial: (listener: WireListener) => Wire
  /** What a new wire needs before anybody may use it. */
  readonly prepare: (wire: Wire) => Promise<unknown>
  /** It can be used. */
  readonly up: () => void
  readonly message: WireListener['message']
  readonly timeoutMs: number
}

interface Waiter {
  resolve(wire: Wire): void
  reject(error: Error): void
}

/**
 * A wire to Redis that is there again after it was lost. One loop dials, and waits between two attempts: a broker that comes back is
 * not met by every instance at once, and one that accepts and drops us at once is not dialled without end.
 */
export class Link {
  #wire: Wire | undefined
  /** Ends the wire that is there or being made. */
  #lose: (error?: unknown) => void = () => {}
  #endWait: () => void = () => {}
  #closed = false
  #refusing = false
  #trouble = 'is not connected yet'
  readonly #waiters = new Set<Waiter>()

  constructor(readonly options: LinkOptions) {
    void this.#run()
  }

  /** Whether commands can be sent now. */
  get isUp(): boolean {
    return this.#wire !== undefined
  }

  /**
   * Runs a command as soon as there is a wire for it. Both together take at most the timeout; a wire that gives no answer is given up.
   *
   * @throws HubError `UNAVAILABLE`, `CLOSED`
   */
  async use<Result>(command: (wire: Wire) => Promise<Result>, deadline?: number): Promise<Result> {
    if (this.#refusing) throw closed()
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
        // After a failover this is a replica: whoever is the master now is found by dialling.
        if (reason === 'READONLY') this.drop(used)
        throw unavailable(`answered ${reason}`)
      }
    }
    let timer: NodeJS.Timeout | undefined
    let isSettled = false
    const late = new Promise<never>((_, reject) => {
      // Somebody waits for the answer, so this one keeps the process alive. What has come meanwhile is read first: a process that stood
      // still must not blame Redis.
      timer = setTimeout(() => {
        setImmediate(() => {
          if (isSettled) return
          if (used) this.drop(used)
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

  /** Gives a wire up that cannot be trusted any more; without one, the wire that is there. */
  drop(wire = this.#wire): void {
    if (wire !== undefined && wire === this.#wire) this.#lose()
  }

  /** Takes no more commands. Those that were sent are still answered. */
  refuse(): void {
    this.#refusing = true
    for (const { reject } of this.#waiters) reject(closed())
    this.#waiters.clear()
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
    const { dial, prepare, up, message, timeoutMs } = this.options
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
        message: (channel, text) => {
          if (wire === this.#wire) message(channel, text)
        },
        lost: lose,
      })
      wire = dialled
      const ready = dialled.connect().then(() => prepare(dialled))
      timer = setTimeout(() => lose({ code: 'ETIMEDOUT' }), timeoutMs).unref()
      const isReady = await Promise.race([ready.then(() => true), lost])
      clearTimeout(timer)
      if (!isReady || this.#closed) return 0
      this.#wire = wire
      const upAt = performance.now()
      this.#trouble = 'has closed the connection'
      for (const { resolve } of this.#waiters) resolve(wire)
      this.#waiters.clear()
      up()
      await lost
      return performance.now() - upAt
    } catch (error) {
      this.#trouble = `could not be reached (${reasonOf(error)})`
      return 0
    } finally {
      clearTimeout(timer)
      this.#wire = undefined
      wire?.destroy()
    }
  }
}

/** @returns what a call gets after the end */
export function closed(): HubError {
  return new HubError('CLOSED', 'The adapter is closed')
}

function unavailable(trouble: string): HubError {
  return new HubError('UNAVAILABLE', `The event log is not available: Redis ${trouble}`, { retryAfterMs: 5_000 })
}
