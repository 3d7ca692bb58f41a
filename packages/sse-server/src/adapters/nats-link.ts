import { HubError } from '@entitycast/sse-server'
import { ReconnectingLink } from '../seams/reconnecting-link'
import { closed, JetStreamError, NO_STREAM, NoAnswer, NotAllowed, reasonOf, unavailable, type Wire } from './nats-wire'

export interface LinkOptions {
  /** Connects. What it makes tells when it is lost. */
  readonly dial: (lost: (error?: unknown) => void) => Promise<Wire>
  /** What a new wire needs before anybody may use it. `goneAt`: when the stream was last found to be gone, by the monotonic clock. */
  readonly prepare: (wire: Wire, goneAt: number) => Promise<unknown>
  /** It can be used. */
  readonly up: () => void
  readonly timeoutMs: number
}

/** A wire to NATS that is there again after it was lost. What is not answered is asked again: a stream's leader may be away for a moment. */
export class Link {
  readonly #link: ReconnectingLink<Wire>
  #isAnswered = true
  #goneAt = Number.NEGATIVE_INFINITY

  constructor({ dial, prepare, up, timeoutMs }: LinkOptions) {
    this.#link = new ReconnectingLink({
      dial,
      prepare: async (wire) => {
        if (wire.isOver) throw new NoAnswer(true, 'closed')
        await prepare(wire, this.#goneAt)
      },
      up: () => {
        this.#isAnswered = true
        up()
      },
      end: (wire) => wire.close(),
      // Where something is answered, and only the stream has no leader, the wire is a good one.
      isSilent: (wire) => wire.silentMs >= timeoutMs * 0.6,
      timeoutMs,
      reasonOf,
      failed: (error, wire) => this.#failed(error, wire),
      refusalOf,
      unavailable,
      closed,
    })
  }

  /** The wire that is there. */
  get wire(): Wire | undefined {
    return this.#link.wire
  }

  /** Whether there is a wire, and what was asked last was answered. */
  get isWell(): boolean {
    return this.#link.isUp && this.#isAnswered
  }

  /**
   * Runs a command as soon as there is a wire for it, and again until the deadline where it is not answered.
   *
   * @throws HubError `UNAVAILABLE`, `CLOSED`, and what `prepare` throws
   */
  async use<Result>(
    command: (wire: Wire, deadline: number) => Promise<Result>,
    deadline = performance.now() + this.#link.options.timeoutMs,
  ): Promise<Result> {
    let isOver = false
    try {
      return await this.#link.use(async (wire) => {
        try {
          return await this.#ask(wire, command, deadline)
        } finally {
          isOver = true
        }
      }, deadline)
    } catch (error) {
      if (!isOver) this.#isAnswered = false
      throw error
    }
  }

  close(): void {
    this.#link.close()
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
        if (!(error instanceof NoAnswer)) throw error
        this.#isAnswered = false
        if (wire.isOver || performance.now() >= deadline) throw error
        await pause()
      }
    }
  }

  #failed(error: unknown, wire: Wire): Error {
    if (error instanceof HubError) return error
    // It is made again, where that is allowed, by whoever dials next.
    if (error instanceof JetStreamError && error.code === NO_STREAM) {
      this.#goneAt = performance.now()
      this.#link.drop(wire)
    }
    return unavailable(error instanceof NotAllowed ? error.message : `answered ${reasonOf(error)}`)
  }
}

/** A moment, a random one: whoever waits for the same does not come at the same time. */
export function pause(mostMs = 60): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.random() * mostMs)
  })
}

/** Each call gets an error of its own, with its own stack. */
function refusalOf(error: unknown): HubError | undefined {
  if (!(error instanceof HubError)) return undefined
  const { code, message, retryAfterMs } = error
  return new HubError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs })
}
