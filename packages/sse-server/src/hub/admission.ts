import type { Connection } from '../feed/connection'
import type { LimitName, Newcomer, Registry } from '../registry/registry'
import type { Addressed } from '../seams/exchange'
import type { Ports } from '../seams/ports'
import type { Sink } from '../seams/sink'
import type { Cluster } from './cluster'
import type { HubError } from './error'
import type { Grant } from './grant'
import type { HubSettings } from './options'
import { isPromise, Questions, type Waiting } from './questions'
import { Refusals } from './refusals'

/** A stream that a mount asks for. */
export interface ConnectRequest {
  readonly grant: Grant
  /** The channels that were asked for; absent: all that the grant covers. */
  readonly channels?: readonly string[] | undefined
  /** The client's cursor, as it sent it: not to be trusted. */
  readonly lastEventId?: string | undefined
  /** Whose address counts. */
  readonly from?: (Addressed & { readonly isIpOfPeer?: boolean | undefined }) | undefined
  /** The hub's `moment` when the application was asked for the grant: what ends the user's streams after it undoes it. */
  readonly askedAt: number
  readonly reauthorize?: (() => boolean | Promise<boolean>) | undefined
  /** Whether the client has left. */
  gone(): boolean
  /** Sends the headers. Called once, when the stream is granted. */
  open(): Sink
}

const WHY: Record<LimitName, string> = {
  perUser: 'You have too many open streams',
  perIp: 'Your address has too many open streams',
  perProject: 'The project has too many open streams',
  perProcess: 'The server has too many open streams',
}

/** Decides whether one more stream may be opened now. */
export class Admission {
  #tokens: number
  #filledAt: number
  readonly questions: Questions
  readonly refusals: Refusals
  readonly limits: HubSettings['limits']
  #hasWarned = false

  constructor(
    readonly settings: Pick<HubSettings, 'limits' | 'logger'>,
    readonly registry: Registry,
    readonly ports: Ports,
  ) {
    this.limits = settings.limits
    this.refusals = new Refusals(ports.random)
    this.questions = new Questions(ports.clock, this.limits.perIp)
    this.#tokens = this.limits.connectsPerSecond
    this.#filledAt = ports.clock.monotonic()
  }

  /**
   * Asks the application. A flood that would be refused anyway does not reach it, and one that waits for it is bounded, also that of one
   * address. Only streams that are granted use up the rate: whoever has no rights cannot lock out those who have.
   *
   * @param waiting is told an answer that is still to come, in place of the promise that is returned
   * @throws HubError `UNAVAILABLE`; the same where an answer takes too long
   */
  ask<Answer>(
    isDraining: boolean,
    from: Addressed,
    question: () => Answer | Promise<Answer>,
    waiting?: Waiting<Answer>,
  ): Answer | Promise<Answer> {
    this.#letIn(isDraining, from)
    const answer = question()
    if (!isPromise(answer)) return answer
    if (!waiting) return this.questions.wait(answer, from, this.#unauthorized)
    this.questions.tell(answer, waiting, this.#unauthorized)
    return answer
  }

  /**
   * The same of what other instances have revoked.
   *
   * @throws HubError `UNAVAILABLE`, and what the log fails with
   */
  hear(isDraining: boolean, from: Addressed, others: Pick<Cluster, 'ready'>): Promise<void> | undefined {
    this.#letIn(isDraining, from)
    const hearing = others.ready()?.catch((error) => {
      throw this.refusals.ofLog(error)
    })
    return hearing && this.questions.wait(hearing, from, this.#unheard)
  }

  #letIn(isDraining: boolean, from: Addressed): void {
    if (isDraining) throw this.draining()
    // What has come in since can only add to it.
    if (this.#tokens < 1) this.#fill(this.ports.clock.monotonic())
    if (this.#tokens < 1 || this.questions.size >= this.limits.connectsPerSecond) throw this.#tooFast()
    if (this.questions.isFull(from)) throw this.#tooFast()
  }

  readonly #unauthorized = (): HubError => this.refusals.late('Authorization took too long')

  readonly #unheard = (): HubError => this.refusals.late('What other instances have revoked could not be read in time')

  /**
   * Whether there is room. A user's own stream whose peer seems to be gone does not count: it is the result.
   *
   * @throws HubError `TOO_MANY_CONNECTIONS`, `UNAVAILABLE`
   */
  check(newcomer: Newcomer): Connection | undefined {
    let limit = this.registry.exceeded(newcomer)
    const suspect = limit === 'perUser' ? this.registry.suspect(newcomer) : undefined
    if (suspect) limit = this.registry.exceeded(newcomer, suspect)
    if (!limit) return suspect
    if (limit === 'perIp') this.#warnOfProxies()
    const code = limit === 'perProcess' ? 'UNAVAILABLE' : 'TOO_MANY_CONNECTIONS'
    throw this.refusals.comeBack(code, WHY[limit], 5_000)
  }

  /**
   * The same, counts the newcomer against the connect rate, and makes the room: only now that nothing else can refuse it. Whoever makes it is cut, not
   * told, so that it comes back if it is there after all.
   */
  take(newcomer: Newcomer, now: number): void {
    const suspect = this.check(newcomer)
    this.#fill(now)
    if (this.#tokens < 1) throw this.#tooFast()
    this.#tokens--
    suspect?.destroy()
  }

  /** Once: the usual reason is not a client with a hundred streams. */
  #warnOfProxies(): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.settings.logger.warn(
      'an address has as many streams as limits.perIp allows; behind a proxy all clients have its address, until the framework trusts it (Express: trust proxy, Fastify: trustProxy) or clientIp says theirs',
      { perIp: this.limits.perIp },
    )
  }

  draining(): HubError {
    return this.refusals.comeBack('UNAVAILABLE', 'The server is shutting down', 2_000)
  }

  #fill(now: number): void {
    const { connectsPerSecond } = this.limits
    if (connectsPerSecond === Number.POSITIVE_INFINITY) return
    this.#tokens = Math.min(connectsPerSecond, this.#tokens + ((now - this.#filledAt) / 1_000) * connectsPerSecond)
    this.#filledAt = now
  }

  #tooFast(): HubError {
    return this.refusals.comeBack('UNAVAILABLE', 'Too many streams are being opened at once', 2_000)
  }
}
