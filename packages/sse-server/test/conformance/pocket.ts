import {
  type Adapter,
  type AdapterManifest,
  type AdapterStatus,
  type Cursor,
  HubError,
  type LogListener,
  type LogPage,
  type LogRecord,
  MemoryAdapter,
  type OpenLog,
  type Retention,
} from '@entitycast/sse-server'
import type { LogUnderTest } from '@entitycast/sse-server/conformance'

/*
 * A broker that fits into a pocket, and a sound adapter over it: several instances, messages that can be held up, and every way to
 * harm it that the suite knows. It exists to prove the suite: this adapter passes, and one that differs by a line does not.
 */

export interface PocketMessage {
  readonly projectId: string
  readonly epoch: string
  readonly first: number
  readonly records: readonly LogRecord[]
}

const AWAY = Symbol('away')

export class PocketBroker implements LogUnderTest {
  readonly ears = new Set<(message: unknown) => void>()
  #store: MemoryAdapter | undefined
  #retention: Retention | undefined
  #state: 'up' | 'stopped' | 'killed' = 'up'
  #resume: (() => void)[] = []
  #hold: (deliver: () => void) => void = (deliver) => deliver()

  constructor(
    readonly Instance: new (broker: PocketBroker) => Adapter = PocketAdapter,
    readonly makeStore = () => new MemoryAdapter(),
  ) {}

  create(): Adapter {
    return new this.Instance(this)
  }

  begin(retention: Retention): void {
    this.#retention ??= retention
  }

  /** Asks it something: an answer, a rejection where it was killed, or nothing while it stands still. */
  async ask<Answer>(task: (store: MemoryAdapter) => Promise<Answer>): Promise<Answer> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (this.#state === 'stopped') await new Promise<void>((resolve) => this.#resume.push(resolve))
    if (this.#state === 'killed') throw AWAY
    if (!this.#store) {
      this.#store = this.makeStore()
      this.#store.start(this.#retention as Retention)
    }
    return task(this.#store)
  }

  append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return this.ask(async (store) => {
      const cursor = await store.append(projectId, records)
      this.say({ projectId, epoch: cursor.epoch, first: cursor.offset - records.length + 1, records })
      return cursor
    })
  }

  say(message: unknown): void {
    void this.#hold(() => {
      for (const hear of this.ears) hear(message)
    })
  }

  readonly broker = {
    stop: async () => {
      this.#state = 'stopped'
    },
    kill: async () => {
      this.#state = 'killed'
      this.#store = undefined
    },
    restart: async () => {
      this.#state = 'up'
      for (const resume of this.#resume.splice(0)) resume()
    },
    wipe: async () => {
      this.#store = undefined
    },
  }

  readonly messages = {
    intercept: (hold: (deliver: () => void) => void) => {
      this.#hold = hold
    },
    garbage: async () => {
      for (const message of [undefined, null, 'text', {}, { projectId: 'p' }]) this.say(message)
    },
  }

  async end(): Promise<void> {
    await this.broker.restart()
  }
}

export const POCKET: AdapterManifest = {
  name: 'pocket',
  durability: 'broker-memory',
  shared: true,
  maxRecordBytes: 200_000,
}

interface Live {
  epoch: string
  last: number
  listeners: Map<LogListener, number>
}

export class PocketAdapter implements Adapter {
  readonly manifest = POCKET
  protected readonly lives = new Map<string, Live>()
  protected timeoutMs = 30
  #status: AdapterStatus = 'degraded'
  #closed = false
  #poll: NodeJS.Timeout | undefined

  constructor(readonly broker: PocketBroker) {}

  start(retention: Retention): void {
    this.broker.begin(retention)
    this.broker.ears.add(this.#ear)
    const poll = () => {
      this.#poll = setTimeout(() => void this.round().finally(() => this.#closed || poll()), 10)
    }
    poll()
    void this.round()
  }

  async append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    if (records.some(({ data }) => Buffer.byteLength(data) > this.manifest.maxRecordBytes)) {
      throw new HubError('UNAVAILABLE', 'too large')
    }
    return this.call(() => this.broker.append(projectId, records))
  }

  async open(projectId: string, listener: LogListener): Promise<OpenLog> {
    const head = await this.call(() => this.broker.ask((store) => store.append(projectId, [])))
    let live = this.lives.get(projectId)
    if (!live) {
      live = { epoch: head.epoch, last: head.offset, listeners: new Map() }
      this.lives.set(projectId, live)
    }
    const { listeners, epoch, last } = live
    listeners.set(listener, last)
    // Messages may have come between the answer and now; whatever is missing is asked for at once.
    void this.sync(projectId, live)
    return { head: { epoch, offset: last }, close: () => void listeners.delete(listener) }
  }

  read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    return this.call(() => this.broker.ask((store) => store.read(projectId, after, limit)))
  }

  status(): AdapterStatus {
    return this.#status
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#poll)
    this.broker.ears.delete(this.#ear)
    this.lives.clear()
  }

  /** Calls the broker, for a bounded time. */
  protected async call<Answer>(task: () => Promise<Answer>): Promise<Answer> {
    if (this.#closed) throw new HubError('CLOSED', 'closed')
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      // An answer that has come meanwhile counts: this process may have stood still.
      timer = setTimeout(() => setImmediate(() => reject(AWAY)), this.timeoutMs)
    })
    try {
      const answer = await Promise.race([task(), late])
      this.#status = 'ok'
      return answer
    } catch (error) {
      if (error !== AWAY) throw error
      this.#status = 'degraded'
      throw this.away()
    } finally {
      clearTimeout(timer)
    }
  }

  protected away(): Error {
    return new HubError('UNAVAILABLE', 'the broker does not answer')
  }

  /** Compares every open project with the log. */
  protected async round(): Promise<void> {
    await this.call(() => this.broker.ask(async () => {})).catch(() => {})
    for (const [projectId, live] of this.lives) await this.sync(projectId, live)
  }

  protected hear({ projectId, epoch, first, records }: PocketMessage): void {
    const live = this.lives.get(projectId)
    if (!live) return
    if (epoch === live.epoch && first + records.length - 1 <= live.last) return
    if (epoch === live.epoch && first === live.last + 1) this.tell(live, records)
    else void this.sync(projectId, live)
  }

  /** Reads what was missed, or says that it cannot be had. */
  protected async sync(projectId: string, live: Live): Promise<void> {
    const { epoch, last: offset } = live
    const page = await this.read(projectId, { epoch, offset }, 1_000).catch(() => undefined)
    if (!page || this.#closed) return
    if ('gap' in page) {
      const head = await this.call(() => this.broker.ask((store) => store.append(projectId, []))).catch(() => undefined)
      if (head && epoch === live.epoch) this.jump(live, head, page.gap === 'epoch' ? 'epoch' : 'broker-gap')
      return
    }
    const unheard = page.entries.filter((entry) => epoch === live.epoch && entry.offset > live.last)
    if (unheard.length > 0) {
      this.tell(
        live,
        unheard.map(({ record }) => record),
      )
    }
  }

  protected jump(live: Live, head: Cursor, reason: 'epoch' | 'broker-gap'): void {
    live.epoch = head.epoch
    live.last = head.offset
    for (const listener of live.listeners.keys()) {
      live.listeners.set(listener, head.offset)
      listener.doubt(head, reason)
    }
  }

  protected tell(live: Live, records: readonly LogRecord[]): void {
    const entries = records.map((record, i) => ({ offset: live.last + 1 + i, record }))
    live.last += records.length
    for (const [listener, after] of live.listeners) {
      const later = entries.filter(({ offset }) => offset > after)
      if (later.length > 0) listener.entries(later)
    }
  }

  readonly #ear = (message: unknown) => {
    const isOurs = Array.isArray((message as PocketMessage | undefined)?.records)
    if (isOurs && !this.#closed) this.hear(message as PocketMessage)
  }
}
