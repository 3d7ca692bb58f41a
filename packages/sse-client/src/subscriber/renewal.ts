import type { ConnectedData } from '@entitycast/sse-protocol'
import { Alarm } from '../retry/alarm'
import type { Ports } from '../seams/ports'
import { Attempt, type AttemptListener, type Outcome } from './attempt'
import type { StreamFrame } from './parser'
import type { HeadersContext, Settings } from './request'

/** Whose stream is renewed. */
export interface RenewableReader {
  /** The cursor that the next stream can go on at, for this user; none where that could not be shown. */
  renewable(identity: string | undefined): string | undefined
  /** The first frame of the next stream. Where it goes on at that cursor, it is the stream from here on. */
  renew(frame: StreamFrame): ConnectedData | undefined
}

/** Who hears of a renewal. */
export interface RenewalListener {
  /** The next stream takes the place of the old one. */
  renewed(next: Attempt, connected: ConnectedData): void
  /** There is no next stream. The old one goes on. */
  notRenewed(outcome: Outcome): void
}

/** The most that a grant has left when it is renewed, in milliseconds; of a short one a quarter. */
const LEAD_MS = 60_000
/** A grant that is shorter ends before its headers are there. */
const SHORTEST_MS = 1_000
const HEADERS_MS = 10_000
/** So long nothing is read from the old stream while the next one is asked for: a browser that has no connection left asks in vain. */
const HOLD_MS = 3_000

/**
 * The next stream before the grant of this one ends: make before break, once a stream. From when the request leaves until it is answered
 * the old stream is not read, so that the cursor that was sent is where it stands: the next stream goes on right there, or is dropped.
 */
export class Renewal implements AttemptListener {
  readonly #ports: Ports
  readonly #reader: RenewableReader
  readonly #to: RenewalListener
  #alarm: Alarm | undefined
  #next: Attempt | undefined
  #release: (() => void) | undefined
  /** What is read of the old stream waits for this. */
  hold: Promise<void> | undefined

  constructor(expiresInMs: number, settings: Settings, ports: Ports, reader: RenewableReader, to: RenewalListener) {
    this.#ports = ports
    this.#reader = reader
    this.#to = to
    // It is a server's word, and may be anything.
    if (!(expiresInMs >= SHORTEST_MS)) return
    // Clients that came together do not renew together.
    const leadMs = Math.min(LEAD_MS, expiresInMs / 4) * (0.5 + ports.random() / 2)
    this.#wait(expiresInMs - leadMs, () => {
      this.#next = new Attempt(this)
      void this.#next.run(settings, ports.clock)
    })
  }

  asks(): HeadersContext {
    this.#wait(HEADERS_MS, () => this.cancel())
    return { attempt: 1, reason: 'expiring' }
  }

  leaves(identity: string | undefined): string | undefined {
    const cursor = this.#reader.renewable(identity)
    if (cursor === undefined) this.cancel()
    else {
      this.#wait(HOLD_MS, () => this.cancel())
      this.hold = new Promise((resolve) => {
        this.#release = resolve
      })
    }
    return cursor
  }

  bytes(): undefined {}

  retry(): void {}

  frame(frame: StreamFrame): void {
    const connected = this.#reader.renew(frame)
    if (connected) {
      const next = this.#next as Attempt
      this.#next = undefined
      this.#to.renewed(next, connected)
    } else this.cancel()
  }

  over(outcome: Outcome): void {
    this.cancel()
    this.#to.notRenewed(outcome)
  }

  /** The old stream goes on, if it still does. */
  cancel(): void {
    this.#alarm?.cancel()
    this.#next?.abandon()
    this.#next = this.hold = undefined
    this.#release?.()
  }

  #wait(delayMs: number, task: () => void): void {
    this.#alarm?.cancel()
    this.#alarm = new Alarm(this.#ports.clock, delayMs, task)
  }
}
