import { HubError } from '@entitycast/sse-server'
import { closed, JetStreamError, NO_STREAM, NoAnswer, NotAllowed, reasonOf, unavailable, type Wire } from './nats-wire'

/** The first wait before NATS is dialled again, and the longest, in milliseconds. Each is a random part of what it may be. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000
const LEAST_WAIT_MS = 20
/** A wire that held for so long was a good one: the waits begin anew. */
const STABLE_MS = 5_000

export interface LinkOptions {
  /** Connects. What it makes tells when it is lost. */
  readonly dial: (lost: (wire: Wire, error?: unknown) => void) => Promise<Wire>
  /** What a new wire needs before anybody may use it. */
  readonly prepare: (wire: Wire) => Promise<unknown>
  /** It can be used. */
  readonly up: () => void
  readonly timeoutMs: number
}

interface Waiter {
  resolve(wire: Wire): void
  reject(error: Error): void
}

/** A wire to NATS that is there again after it was lost. One loop dials, and waits between two attempts. */
export class Link {
  #wire: Wire | undefined
  /** The wire that is there or being made ready, and what ends it. */
  #current: Wire | undefined
  #lose: (error?: unknown) => void = () => {}
  /** A connection that is still being made: one at a time, however long the application's function takes. */
  #dialling: Promise<Wire> | undefined
  #endWait: () => void = () => {}
  #closed = false
  #refusing = false
  #isAnswered = true
  #trouble = 'is not connected yet'
  /** What has to be mended by hand before there can be a wire. */
  #refusal: HubError | undefined
  readonly #waiters = new Set<Waiter>()

  constructor(readonly options: LinkOptions) {
    void this.#run()
  }

  /** The wire that is there. */
  get wire(): Wire | undefined {
    return this.#wire
  }

  /** Whether there is a wire, and what was asked last was answered. */
  get isWell(): boolean {
    return this.#wire !== undefined && this.#isAnswered
  }

  /**
   * Runs a command as soon as there is a wire for it. Both together take at most the timeout; a wire that gives no answer is given up. What
   * is not answered is asked again until the deadline, since a stream's leader may be away for a moment.
   *
   * @throws HubError `UNAVAILABLE`, `CLOSED`, and what `prepare` throws
   */
  async use<Result>(command: (wire: Wire, deadline: number) => Promise<Result>, by?: number): Promise<Result> {
    if (this.#refusing) throw closed()
    if (!this.#wire && this.#refusal) throw copyOf(this.#refusal)
    const { timeoutMs } = this.options
    const deadline = by ?? performance.now() + timeoutMs
    const leftMs = Math.max(0, deadline - performance.now())
    const waiter: Waiter = { resolve: () => {}, reject: () => {} }
    let used: Wire | undefined
    const answer = async (): Promise<Result> => {
      used = this.#wire ?? (await this.#wait(waiter))
      return this.#ask(used, command, deadline)
    }
    let timer: NodeJS.Timeout | undefined
    let isSettled = false
    const late = new Promise<never>((_, reject) => {
      // Somebody waits for the answer, so this one keeps the process alive. What has come meanwhile is read first: a process that stood
      // still must not blame NATS.
      timer = setTimeout(() => {
        setImmediate(() => {
          if (isSettled) return
          this.#isAnswered = false
          // Where something is answered, and only the stream has no leader, the wire is a good one.
          if (used && used.silentMs >= timeoutMs * 0.6) this.drop(used)
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

  async #ask<Result>(
    wire: Wire,
    command: (wire: Wire, deadline: number) => Promise<Result>,
    deadline: number,
  ): Promise<Result> {
    for (;;) {
      try {
        const result = await command(wire, deadline)
        this.#isAnswered = true
        return result
      } catch (error) {
        if (error instanceof HubError) throw error
        if (this.#closed) throw closed()
        if (error instanceof NoAnswer) {
          this.#isAnswered = false
          if (!wire.isOver && performance.now() < deadline) {
            await pause()
            continue
          }
        }
        // It is made again, where that is allowed, by whoever dials next.
        if (error instanceof JetStreamError && error.code === NO_STREAM) this.drop(wire)
        throw unavailable(error instanceof NotAllowed ? error.message : `answered ${reasonOf(error)}`)
      }
    }
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
    const { prepare, up, timeoutMs } = this.options
    const lost = new Promise<false>((resolve) => {
      this.#lose = (error) => {
        if (error !== undefined) this.#trouble = `could not be reached (${reasonOf(error)})`
        resolve(false)
      }
    })
    const timer = setTimeout(() => this.#lose({ code: 'ETIMEDOUT' }), timeoutMs).unref()
    try {
      const wire = await Promise.race([this.#dial(), lost])
      if (!wire || this.#closed) return 0
      this.#current = wire
      if (wire.isOver) return 0
      const isReady = await Promise.race([prepare(wire).then(() => true), lost])
      clearTimeout(timer)
      if (!isReady || this.#closed) return 0
      this.#wire = wire
      this.#refusal = undefined
      this.#isAnswered = true
      const upAt = performance.now()
      this.#trouble = 'has closed the connection'
      for (const { resolve } of this.#waiters) resolve(wire)
      this.#waiters.clear()
      up()
      await lost
      return performance.now() - upAt
    } catch (error) {
      const refusal = error instanceof HubError ? error : undefined
      this.#refusal = refusal
      if (refusal) this.#rejectWaiters(() => copyOf(refusal))
      this.#trouble = `could not be reached (${reasonOf(error)})`
      return 0
    } finally {
      clearTimeout(timer)
      this.#wire = undefined
      this.#current?.close()
      this.#current = undefined
    }
  }

  /** A connection that comes when nobody waits for it any more serves whoever dials next; after the end it is closed. */
  #dial(): Promise<Wire> {
    this.#dialling ??= this.options
      .dial((wire, error) => {
        if (wire === this.#current) this.#lose(error)
      })
      .then((wire) => {
        if (this.#closed) wire.close()
        return wire
      })
      .finally(() => {
        this.#dialling = undefined
      })
    // Where the attempt is over before it fails, nobody else is told.
    this.#dialling.catch(() => {})
    return this.#dialling
  }
}

/** A moment, a random one: whoever waits for the same does not come at the same time. */
export function pause(mostMs = 60): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.random() * mostMs)
  })
}

/** Each call gets an error of its own, with its own stack. */
function copyOf({ code, message, retryAfterMs }: HubError): HubError {
  return new HubError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs })
}
