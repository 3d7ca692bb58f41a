import { HubError } from '@entitycast/sse-server'
import {
  type Ask,
  type Call,
  decodeTell,
  encodeAsk,
  type Found,
  type IpcChannel,
  type Request,
  type Tell,
} from './cluster-wire'

/** What one message holds at most, in characters of events; one call more, where that is larger. */
const MESSAGE_WEIGHT = 1_048_576

interface Waiting {
  readonly request: Request
  readonly weight: number
  /** By the monotonic clock. */
  readonly lateAt: number
  readonly answered: (found: Found) => void
  readonly refused: (error: HubError) => void
}

export interface PrimaryLinkOptions {
  readonly channel: IpcChannel
  readonly name: string
  readonly keep: Ask['keep']
  readonly timeoutMs: number
  readonly pages: (pages: Tell['pages']) => void
  /** Something live did not arrive, or the log is another one. */
  readonly missed: () => void
}

/**
 * The way from a worker to the log in the primary. Calls of one turn go in one message, and the next message when that one has left:
 * a primary that stands still is not written to, and what has waited too long is refused without having been sent.
 */
export class PrimaryLink {
  readonly #waiting = new Map<number, Waiting>()
  /** In their order: calls by number, and what needs no answer. */
  #outbox: (number | Request)[] = []
  #id = 0
  #isPlanned = false
  #isUp = false
  #log: string | undefined
  #live = 0
  #timer: NodeJS.Timeout | undefined
  #trouble =
    'did not answer. Call startClusterLog() there, or log.attach(child) for a process of child_process.fork; with PM2, see docs/cluster.md'
  #isGone = false
  #closing: (() => void) | undefined
  #closed = false

  constructor(readonly options: PrimaryLinkOptions) {
    options.channel.on('message', this.#heard)
    options.channel.on('disconnect', this.#gone)
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Sends a call with the others of this turn. `answered` runs before anything later from the primary is looked at. */
  ask(request: Request, weight: number, answered: Waiting['answered'], refused: Waiting['refused']): void {
    if (this.#closing || this.#isGone) {
      refused(this.#closing ? closed() : this.#unavailable())
      return
    }
    const lateAt = performance.now() + this.options.timeoutMs
    this.#waiting.set(++this.#id, { request, weight, lateAt, answered, refused })
    this.#outbox.push(this.#id)
    this.#watch()
    this.#plan()
  }

  /** What needs no answer. */
  tell(request: Request): void {
    if (this.#closing || this.#isGone) return
    this.#outbox.push(request)
    this.#plan()
  }

  /** Takes no more calls, and resolves when those that there are were answered, or refused. */
  async close(): Promise<void> {
    if (this.#closing) return
    if (this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        this.#closing = resolve
      })
    }
    this.#closing = () => {}
    this.#closed = true
    clearTimeout(this.#timer)
    const { channel } = this.options
    channel.off('message', this.#heard)
    channel.off('disconnect', this.#gone)
    this.#outbox = []
    if (!this.#isGone) void this.#send([[0, ['bye']]])
  }

  /** Once a turn. */
  #plan(): void {
    if (this.#isPlanned || this.#isGone) return
    this.#isPlanned = true
    setImmediate(() => void this.#run())
  }

  async #run(): Promise<void> {
    while (this.#outbox.length > 0 && !this.#closed && !this.#isGone) {
      const calls: Call[] = []
      let weight = 0
      let done = 0
      for (const item of this.#outbox) {
        if (weight >= MESSAGE_WEIGHT) break
        done++
        const waiting = typeof item === 'number' ? this.#waiting.get(item) : undefined
        if (waiting) {
          calls.push([item as number, waiting.request])
          weight += waiting.weight
        } else if (typeof item !== 'number') calls.push([0, item])
      }
      this.#outbox = this.#outbox.slice(done)
      if (calls.length > 0) await this.#send(calls)
    }
    this.#isPlanned = false
  }

  /** Resolves when it has left. */
  #send(calls: readonly Call[]): Promise<unknown> {
    const { channel, name, keep } = this.options
    return new Promise((resolve) => {
      channel.send?.(encodeAsk({ link: name, keep, calls }), undefined, undefined, (error) => {
        if (error && channel.connected === false) this.#gone()
        resolve(error)
      })
    })
  }

  readonly #heard = (message: unknown): void => {
    const tell = decodeTell(message, this.options.name)
    if (tell === 'other') this.#trouble = 'runs another version of @entitycast/sse-server; restart it too'
    if (!tell || tell === 'other') return
    this.#isUp = true
    this.#trouble = 'did not answer in time, and may still do what it was asked'
    const { log, live, answers, pages } = tell
    const isOther = this.#log !== undefined && this.#log !== log
    this.#log = log
    for (const [id, found] of answers) this.#settle(id)?.answered(found)
    const before = pages.length > 0 ? live - 1 : live
    if (isOther || before > this.#live) {
      this.#live = live
      this.options.missed()
    } else if (live > this.#live) {
      this.#live = live
      this.options.pages(pages)
    }
    // What is left came before, and comes again.
  }

  readonly #gone = (): void => {
    this.#isGone = true
    this.#isUp = false
    this.#trouble = 'is gone'
    this.#outbox = []
    for (const id of this.#waiting.keys()) this.#settle(id)?.refused(this.#unavailable())
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#closing?.()
    return waiting
  }

  /** One timer for all: they are late in the order in which they were asked. */
  #watch(): void {
    if (this.#timer) return
    const [oldest] = this.#waiting.values()
    if (!oldest) return
    const late = () => {
      this.#timer = undefined
      const now = performance.now()
      for (const [id, { lateAt }] of this.#waiting) {
        if (lateAt > now) break
        this.#isUp = false
        this.#settle(id)?.refused(this.#unavailable())
      }
      this.#watch()
    }
    // What has come meanwhile is read first: a process that stood still must not blame the other one.
    const delayMs = Math.max(1, oldest.lateAt - performance.now())
    this.#timer = setTimeout(() => setImmediate(late), delayMs).unref()
  }

  #unavailable(): HubError {
    return new HubError('UNAVAILABLE', `The event log is not available: the primary process ${this.#trouble}`, {
      retryAfterMs: 5_000,
    })
  }
}

/** @returns what a call gets after the end */
export function closed(): HubError {
  return new HubError('CLOSED', 'The adapter is closed')
}
