/** The first wait before a broker is dialled again, and the longest, in milliseconds. Each is a random part of what it may be. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000
const LEAST_WAIT_MS = 20
/** A wire that held for so long was a good one: the waits begin anew. */
const STABLE_MS = 5_000

export interface LinkOptions<Wire> {
  /** Begins to make a wire. It tells when it is lost, perhaps with why. One that comes too late is kept for the next attempt. */
  readonly dial: (lost: (error?: unknown) => void) => Wire | Promise<Wire>
  /** What a new wire needs before anybody may use it. */
  readonly prepare: (wire: Wire) => Promise<unknown>
  /** It can be used. */
  readonly up: () => void
  /** Ends a wire: at once, or, where the link is closed, as one says goodbye. */
  readonly end: (wire: Wire, isClosed: boolean) => void
  /** A call took its whole time: whether the wire, which has it and has answered nobody since that moment by the monotonic clock, is to blame. */
  readonly isSilent: (wire: Wire, since: number) => boolean
  readonly timeoutMs: number
  /** Why something failed, in a word that holds no secret. */
  readonly reasonOf: (error: unknown) => string
  /** What a call gets whose command has failed; the very error where that is ours already. */
  readonly failed: (error: unknown, wire: Wire) => Error
  /** A copy, with its own stack, of what has to be mended by hand before there can be a wire; `undefined` for any other error. */
  readonly refusalOf: (error: unknown) => Error | undefined
  readonly unavailable: (trouble: string) => Error
  readonly closed: () => Error
}

interface Waiter<Wire> {
  resolve(wire: Wire): void
  reject(error: Error): void
}

interface Dialling<Wire> {
  readonly wire: Promise<Wire>
}

/**
 * A wire to a broker that is there again after it was lost. One loop dials, and waits between two attempts: a broker that comes back is not met by
 * every instance at once, and one that accepts and drops us at once is not dialled without end.
 */
export class ReconnectingLink<Wire> {
  #wire: Wire | undefined
  #upAt = 0
  #answeredAt = 0
  /** The wire that is being made, until an attempt has it; and that which this attempt has. */
  #dialling: Dialling<Wire> | undefined
  #held: Dialling<Wire> | undefined
  /** Ends the attempt, and the wire that it has. */
  #lose: (error?: unknown) => void = () => {}
  #endWait: () => void = () => {}
  #closed = false
  #refusing = false
  #trouble = 'is not connected yet'
  /** What has to be mended by hand before there can be a wire. */
  #refusal: unknown
  readonly #waiters = new Set<Waiter<Wire>>()

  constructor(readonly options: LinkOptions<Wire>) {
    void this.#run()
  }

  /** The wire that is there. */
  get wire(): Wire | undefined {
    return this.#wire
  }

  /** Whether something can be sent now. */
  get isUp(): boolean {
    return this.#wire !== undefined
  }

  /** For how long the wire has been there, in milliseconds. */
  get heldMs(): number {
    return performance.now() - this.#upAt
  }

  /**
   * Runs a command as soon as there is a wire for it. Both together take until the deadline at most, by the monotonic clock, or as long as the
   * timeout; a wire that gives no answer is given up. Rejects with what `failed`, `refusalOf`, `unavailable` and `closed` make.
   */
  async use<Result>(
    command: (wire: Wire, deadline: number) => Promise<Result>,
    deadline = performance.now() + this.options.timeoutMs,
  ): Promise<Result> {
    const { timeoutMs, isSilent, failed, refusalOf, unavailable, closed } = this.options
    if (this.#refusing) throw closed()
    const refusal = this.#wire ? undefined : refusalOf(this.#refusal)
    if (refusal) throw refusal
    const waiter: Waiter<Wire> = { resolve: () => {}, reject: () => {} }
    let used: Wire | undefined
    let usedAt = 0
    const answer = async (): Promise<Result> => {
      const wire = this.#wire ?? (await this.#wait(waiter))
      used = wire
      usedAt = performance.now()
      try {
        return await command(wire, deadline)
      } catch (error) {
        const told = failed(error, wire)
        throw this.#closed && told !== error ? closed() : told
      } finally {
        this.#answeredAt = performance.now()
      }
    }
    let timer: NodeJS.Timeout | undefined
    let isSettled = false
    const late = new Promise<never>((_, reject) => {
      const end = () => {
        if (isSettled) return
        if (used !== undefined && isSilent(used, Math.max(usedAt, this.#answeredAt))) this.drop(used)
        const silence = `did not answer within ${timeoutMs} ms, and may still do what it was asked`
        reject(unavailable(used === undefined ? this.#trouble : silence))
      }
      // Somebody waits for the answer, so this one keeps the process alive. What has come meanwhile is read first: a process that stood
      // still must not blame the broker.
      timer = setTimeout(() => setImmediate(end), Math.max(0, deadline - performance.now()))
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
  drop(wire: Wire | undefined = this.#wire): void {
    if (wire !== undefined && wire === this.#wire) this.#lose()
  }

  /** Takes no more commands. Those that were sent are still answered. */
  refuse(): void {
    this.#refusing = true
    this.#rejectWaiters(this.options.closed)
  }

  close(): void {
    this.refuse()
    this.#closed = true
    this.#endWait()
    this.#lose()
    void this.#dialling?.wire.then(
      (wire) => this.options.end(wire, true),
      () => {},
    )
  }

  #wait(waiter: Waiter<Wire>): Promise<Wire> {
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
    const { prepare, up, end, timeoutMs, reasonOf, refusalOf } = this.options
    const lost = new Promise<undefined>((resolve) => {
      this.#lose = (error) => {
        if (error !== undefined) this.#trouble = `could not be reached (${reasonOf(error)})`
        resolve(undefined)
      }
    })
    const timer = setTimeout(() => this.#lose({ code: 'ETIMEDOUT' }), timeoutMs).unref()
    let wire: Wire | undefined
    try {
      this.#dialling ??= this.#dial()
      this.#held = this.#dialling
      wire = await Promise.race([this.#dialling.wire, lost])
      // Where it did not come in time the next attempt has it.
      if (wire === undefined) return 0
      this.#dialling = undefined
      if (this.#closed) return 0
      const isReady = await Promise.race([prepare(wire).then(() => true), lost])
      clearTimeout(timer)
      if (!isReady || this.#closed) return 0
      this.#wire = wire
      this.#refusal = undefined
      this.#upAt = performance.now()
      this.#trouble = 'has closed the connection'
      for (const { resolve } of this.#waiters) resolve(wire)
      this.#waiters.clear()
      up()
      await lost
      return this.heldMs
    } catch (error) {
      if (wire === undefined) this.#dialling = undefined
      this.#refusal = error
      if (refusalOf(error)) this.#rejectWaiters(() => refusalOf(error) as Error)
      this.#trouble = `could not be reached (${reasonOf(error)})`
      return 0
    } finally {
      clearTimeout(timer)
      this.#held = undefined
      this.#wire = undefined
      if (wire !== undefined) end(wire, this.#closed)
    }
  }

  #dial(): Dialling<Wire> {
    const dial = async () =>
      this.options.dial((error) => {
        // Of a wire that was given up nobody wants to hear.
        if (this.#held === dialling) this.#lose(error)
      })
    const dialling: Dialling<Wire> = { wire: dial() }
    dialling.wire.catch(() => {})
    return dialling
  }
}
