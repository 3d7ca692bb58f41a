import { HubError } from '@entitycast/sse-server'
import { headers, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node'
import { decodeMessage, type Stored } from './nats-message'

/*
 * A connection, and what we ask of JetStream over it. Plain requests: its API is JSON on subjects, and each needs one right.
 */

export interface WireListener {
  /** A message came over a live subject: ours, or anybody's. */
  live(subject: string, message: Stored | undefined): void
  /** The connection is gone; called at least once then, perhaps with why. */
  lost(error?: unknown): void
}

/** JetStream said no, by a number of its own. */
export class JetStreamError extends Error {
  constructor(readonly code: number) {
    super(`JetStream error ${code}`)
  }
}

export const NO_MESSAGE = 10_037
export const NO_STREAM = 10_059
const WRONG_LAST = new Set([10_071, 10_070])
/** There is no leader at the moment, or none that answers yet. */
const COMING_BACK = new Set([10_008, 10_009, 10_075])

/** Not answered, or nobody there to answer: it may be so for a moment only. */
export class NoAnswer extends Error {
  constructor(
    /** Nobody has taken it: what was asked has surely not been done. */
    readonly isSure: boolean,
    readonly reason: string,
  ) {
    super(reason)
  }
}

export class Wire {
  /** Whether the stream has several copies. Known when the wire is ready. */
  isReplicated = true
  #heardAt = performance.now()
  #isOver = false
  readonly #subscriptions = new Map<string, Subscription>()

  constructor(
    readonly connection: NatsConnection,
    readonly stream: string,
    /** How long one request waits for its answer. */
    readonly attemptMs: number,
    readonly listener: WireListener,
  ) {
    void connection.closed().then((error) => this.#lost(error ?? undefined))
    void this.#watch()
  }

  /** For how long nothing has come, in milliseconds. */
  get silentMs(): number {
    return performance.now() - this.#heardAt
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get maxPayload(): number {
    return this.connection.info?.max_payload ?? 0
  }

  /** The newest message of a subject. */
  last(subject: string): Promise<Stored | undefined> {
    return this.#get({ last_by_subj: subject })
  }

  /** The message at a place. */
  at(seq: number): Promise<Stored | undefined> {
    return this.#get({ seq })
  }

  /** The first message of a subject from a place on. */
  from(subject: string, seq: number): Promise<Stored | undefined> {
    return this.#get({ seq, next_by_subj: subject })
  }

  /** Adds a message, if that at `lastSeq` is still the last of its subject: its place, or `undefined` where it is not. */
  async publish(subject: string, body: Uint8Array, lastSeq: number, tag: string): Promise<number | undefined> {
    const conditions = headers()
    // Asked again after no answer: servers that choose a leader may hold it already, and not know it yet.
    conditions.set('Nats-Msg-Id', tag)
    conditions.set('Nats-Expected-Stream', this.stream)
    conditions.set('Nats-Expected-Last-Subject-Sequence', String(lastSeq))
    try {
      const { seq } = await this.#request(subject, body, conditions)
      return seq as number
    } catch (error) {
      if (error instanceof JetStreamError && WRONG_LAST.has(error.code)) return undefined
      throw error
    }
  }

  /** Asks the API. @throws JetStreamError, NoAnswer */
  api(what: string, question?: object): Promise<Record<string, unknown>> {
    return this.#request(`$JS.API.${what}`, question ? JSON.stringify(question) : '')
  }

  /** Listens on a subject, once. It is listened to for sure after the next `flush`. */
  subscribe(subject: string): void {
    if (this.#subscriptions.has(subject)) return
    const callback = (error: Error | null, msg: Msg) => {
      if (error) return
      this.#heardAt = performance.now()
      const seq = Number(msg.headers?.get('Nats-Sequence') ?? Number.NaN)
      const message = decodeMessage(msg.data)
      const isOurs = message !== undefined && Number.isSafeInteger(seq) && seq > message.before.seq
      this.listener.live(subject, isOurs ? { ...message, seq, at: Date.now() } : undefined)
    }
    const subscription = this.connection.subscribe(subject, { callback })
    this.#subscriptions.set(subject, subscription)
    void subscription.closed.then((error) => {
      if (error) this.#refused.set(subject, reasonOf(error))
    })
  }

  unsubscribe(subject: string): void {
    this.#subscriptions.get(subject)?.unsubscribe()
    this.#subscriptions.delete(subject)
  }

  /** Subjects that may not be listened to, and why. */
  readonly #refused = new Map<string, string>()

  /** Resolves when the server has read all that was sent to it. @throws HubError `UNAVAILABLE` for a subject that may not be listened to */
  async flush(subject?: string): Promise<void> {
    await this.connection.flush()
    this.#heardAt = performance.now()
    const refusal = subject === undefined ? undefined : this.#refused.get(subject)
    if (refusal) throw new NotAllowed(`may not be listened to on ${subject} (${refusal})`)
  }

  close(): void {
    this.#isOver = true
    this.connection.close().catch(() => {})
  }

  async #get(question: object): Promise<Stored | undefined> {
    let answer: Record<string, unknown>
    try {
      answer = await this.api(`STREAM.MSG.GET.${this.stream}`, question)
    } catch (error) {
      if (error instanceof JetStreamError && error.code === NO_MESSAGE) return undefined
      throw error
    }
    const { seq, time, data = '' } = answer.message as { seq: number; time: string; data?: string }
    const message = decodeMessage(Buffer.from(data, 'base64'))
    const at = Date.parse(time)
    // What somebody else has written there breaks the history as a loss does: it has no tag that anybody has seen.
    if (!message)
      return {
        epoch: '-',
        first: 1,
        more: false,
        tag: '-',
        before: { seq: 0, tag: '-' },
        trail: [],
        records: [],
        seq,
        at,
      }
    return { ...message, seq, at }
  }

  async #request(subject: string, payload: Uint8Array | string, conditions?: ReturnType<typeof headers>) {
    let answer: Msg
    try {
      const options = { timeout: this.attemptMs, ...(conditions && { headers: conditions }) }
      answer = await this.connection.request(subject, payload, options)
    } catch (error) {
      const reason = reasonOf(error)
      if (reason === 'NoRespondersError') throw new NoAnswer(true, reason)
      if (reason === 'PermissionViolationError') throw new NotAllowed(`does not allow ${subject}`)
      // Whether the server is there at all is seen by this.
      if (!this.#isOver) this.flush().catch(() => {})
      throw new NoAnswer(false, reason)
    }
    this.#heardAt = performance.now()
    const parsed = answer.json<Record<string, unknown> & { error?: { err_code?: number; code?: number } }>()
    if (!parsed.error) return parsed
    const code = parsed.error.err_code ?? parsed.error.code ?? 0
    if (COMING_BACK.has(code)) throw new NoAnswer(true, `JetStream error ${code}`)
    throw new JetStreamError(code)
  }

  #lost(error?: unknown): void {
    this.#isOver = true
    this.listener.lost(error)
  }

  /** The library would mend the connection by itself. Which messages were lost meanwhile only a new one of ours asks. */
  async #watch(): Promise<void> {
    for await (const { type } of this.connection.status()) {
      if (type === 'disconnect' || type === 'staleConnection' || type === 'close') {
        this.#lost()
        return
      }
    }
  }
}

/** The account lacks a right. */
export class NotAllowed extends Error {}

/**
 * Why it failed, in a word: `ECONNREFUSED`, `AuthorizationError`, `TimeoutError`. Never the error's own text, which may hold addresses with
 * credentials in them.
 */
export function reasonOf(error: unknown): string {
  if (error instanceof JetStreamError) return `JetStream error ${error.code}`
  if (error instanceof NoAnswer) return error.reason
  let found = (error as object | undefined)?.constructor.name ?? 'unknown'
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string' && /^E[A-Z_]{3,40}$/.test(code)) return code
    if (
      /^(NoResponders|PermissionViolation|Authorization|Timeout|UserAuthenticationExpired)Error$/.test(
        at.constructor.name,
      )
    ) {
      found = at.constructor.name
    }
  }
  return found
}

/** @returns what a call gets that was refused, or not answered */
export function unavailable(trouble: string): HubError {
  return new HubError('UNAVAILABLE', `The event log is not available: NATS ${trouble}`, { retryAfterMs: 5_000 })
}

/** @returns what a call gets after the end */
export function closed(): HubError {
  return new HubError('CLOSED', 'The adapter is closed')
}
