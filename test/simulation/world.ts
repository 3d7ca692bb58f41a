import type { Retention } from '@entitycast/sse-server'
import { Backend } from './backend'
import { Faults } from './faults'
import { type ClientResponse, Link } from './network'
import { Page } from './page'
import { SeededRandom } from './random'
import { Scheduler } from './scheduler'
import { Source } from './source'

export const PROJECTS = ['alpha', 'beta']
export const CHANNELS = ['default', 'locks', 'audit']
export const USERS = ['u1', 'u2', 'u3']
/** When everything works again, every page must be right within this virtual time. */
const RECOVERY_MS = 240_000
/** Longer than anything is under way when nothing goes wrong. */
const SETTLE_MS = 2_000
/** What is due is due within this: the round of a timer, and what passes between two processes. */
export const LENIENCE_MS = 1_500
/** What stands between page and server answers instead of the server. */
const PROXY_ANSWERS = [401, 408, 409, 429, 431, 500, 502, 503, 200]

/** What the simulation found to be untrue. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

export interface Figures {
  steps: number
  virtualMs: number
  published: number
  delivered: number
  resyncs: Record<string, number>
  connects: number
  renewals: number
  faults: Record<string, number>
}

export const noFigures = (): Figures => ({
  steps: 0,
  virtualMs: 0,
  published: 0,
  delivered: 0,
  resyncs: {},
  connects: 0,
  renewals: 0,
  faults: {},
})

/** How the server of this world is set up. */
interface WorldOptions {
  readonly retention: Retention
  /** 0: none. */
  readonly heartbeatMs: number
  readonly heartbeat: 'event' | 'comment'
  /** Heartbeats tell pages of events that they may not see. */
  readonly beatsMoveCursors: boolean
  readonly conflateWindowMs: number | false
  /** The application is asked again before each heartbeat. */
  readonly reauthorizes: boolean
  /** The log is served over a network. */
  readonly brokerLike: boolean
  readonly padBytes: number
}

/**
 * The real hub, the real subscriber and the in-memory log in virtual time, over a simulated network, with everything that can go wrong
 * going wrong. One seed is one world.
 */
export class World {
  readonly scheduler = new Scheduler()
  readonly random: SeededRandom
  readonly options: WorldOptions
  readonly sources = new Map<string, Source>()
  readonly pages: Page[] = []
  readonly backend: Backend
  readonly figures = noFigures()
  /** Reasons for a resync that have been given so far. */
  readonly explained = new Set(['expired', 'overflow'])
  /** Things still go wrong. */
  chaos = true
  /** The log cannot always be read: for a little longer. */
  logFails = true
  #proxyAnswers = 0
  #settledAt: number | undefined
  readonly #pad: string
  readonly #violations: string[] = []

  constructor(readonly seed: number) {
    this.random = new SeededRandom(seed)
    this.options = chooseOptions(this.random)
    this.#pad = 'x'.repeat(this.options.padBytes)
    this.backend = new Backend(this)
    for (const projectId of PROJECTS) this.sources.set(projectId, new Source(this, projectId))
  }

  fail(message: string): void {
    if (this.#violations.length < 20) this.#violations.push(`${Math.round(this.scheduler.time)} ms: ${message}`)
  }

  /** What makes some worlds' events so large that catching up takes many pages. */
  get pad(): string {
    return this.#pad
  }

  /** Something between page and server answers the next requests. */
  proxyAnswers(requests: number): void {
    this.#proxyAnswers = requests
  }

  async run(): Promise<Figures> {
    const { random, scheduler, backend } = this
    backend.start()
    const pages = random.int(1, 4)
    for (let i = 0; i < pages; i++) {
      const channels = random.chance(0.4) ? someChannels(random) : undefined
      const page = new Page(this, i, random.pick(PROJECTS), random.pick(USERS), channels)
      this.pages.push(page)
      scheduler.at(random.int(0, 2_000), () => page.load())
    }
    const chaosMs = random.int(4_000, 18_000)
    this.#schedulePublishing()
    new Faults(this).schedule(chaosMs)
    await this.#runUntil(() => scheduler.time >= chaosMs)
    this.#heal()
    const healedAt = scheduler.time
    await this.#runUntil(
      () => scheduler.time >= healedAt + RECOVERY_MS || (scheduler.time > healedAt + 1_000 && this.#settled()),
    )
    if (!this.#settled())
      for (const page of this.pages) if (!page.upToDate()) this.fail(`no progress: ${page.describe()}`)
    for (const page of this.pages) page.compare()
    await this.#tearDown()
    if (this.#violations.length > 0) throw new Violation(`seed ${this.seed}\n  ${this.#violations.join('\n  ')}`)
    this.figures.virtualMs = scheduler.time
    return this.figures
  }

  /** A request of a page: answered by whatever process runs the server when it arrives. */
  request(
    page: Page,
    url: string,
    headers: Record<string, string>,
    signal: AbortSignal,
    opened: (link: Link) => void,
  ): Promise<ClientResponse> {
    const { random, scheduler, backend, options } = this
    const lowered = lowerCase(headers)
    this.figures.connects++
    return new Promise((answered, failed) => {
      const link = new Link(
        backend.server,
        page.process,
        random,
        {
          latencyMs: random.pick([1, 20, 200]),
          windowBytes: random.pick([300, 2_000, 60_000]) + 2 * options.padBytes,
          fullBytes: random.pick([200, 2_000, 65_536]),
          splits: random.pick([0, 0.2, 0.6]),
        },
        { method: 'GET', url, header: (name) => lowered[name], ip: undefined },
        answered,
        failed,
      )
      opened(link)
      signal.addEventListener('abort', () => {
        failed(new Error('aborted'))
        link.abort()
      })
      scheduler.after(random.int(1, 50), () => {
        if (this.#proxyAnswers > 0) this.#answerByProxy(link, lowered)
        else if (backend.up && link.server === backend.server) backend.server.enter(() => backend.accept(link))
        else page.process.enter(() => link.fail(new Error('refused')))
      })
    })
  }

  #answerByProxy(link: Link, headers: Record<string, string>): void {
    const { random } = this
    this.#proxyAnswers--
    const resuming = headers['last-event-id'] !== undefined
    const status = random.pick(PROXY_ANSWERS.filter((one) => resuming || (one !== 409 && one !== 431)))
    const later: Record<string, string> =
      status === 429 || status === 503 ? { 'retry-after': String(random.int(1, 15)) } : {}
    link.answer(status, { 'content-type': 'text/html', ...later }, 'not a stream')
  }

  #schedulePublishing(): void {
    const { random, scheduler, backend } = this
    const source = this.sources.get(random.pick(PROJECTS)) as Source
    const burst = random.chance(0.15) ? random.int(5, 40) : 1
    if (backend.up)
      backend.server.enter(() => {
        for (let i = 0; i < burst; i++) source.publish()
      })
    const pauseMs = random.chance(0.05) ? random.int(1_000, 5_000) : random.int(5, 600)
    scheduler.after(pauseMs, () => {
      if (this.chaos) this.#schedulePublishing()
    })
  }

  #heal(): void {
    const { backend } = this
    this.chaos = false
    this.scheduler.after(1_500, () => {
      this.logFails = false
    })
    this.#proxyAnswers = 0
    backend.server.wake()
    for (const page of this.pages) page.process.wake()
    backend.start()
    for (const userId of [...backend.revoked]) backend.grant(userId)
  }

  /** Every page is where it should be, and stays there. */
  #settled(): boolean {
    const { up, draining } = this.backend
    const settled = up && !draining && this.pages.every((page) => page.upToDate())
    if (!settled) this.#settledAt = undefined
    else this.#settledAt ??= this.scheduler.time
    // Without a heartbeat's word a page may seem to be there while what it has seen before is on its way once more.
    const waitMs = this.options.beatsMoveCursors ? 0 : SETTLE_MS
    return this.#settledAt !== undefined && this.scheduler.time >= this.#settledAt + waitMs
  }

  async #runUntil(done: () => boolean): Promise<void> {
    const { scheduler } = this
    while (!done() && this.#violations.length === 0) {
      if (scheduler.next === undefined) return
      await scheduler.step()
      this.figures.steps++
      for (const page of this.pages) page.check()
      this.backend.check()
    }
  }

  async #tearDown(): Promise<void> {
    const { hub } = this.backend
    for (const page of this.pages) page.close()
    const closing = hub.close()
    let closed = false
    void closing.then(() => {
      closed = true
    })
    const end = this.scheduler.time + 10_000
    while (!closed && this.scheduler.next !== undefined && this.scheduler.time < end) await this.scheduler.step()
    if (!closed) this.fail('close() did not return')
    for (const page of this.pages)
      if (page.process.timers > 0) this.fail(`page ${page.index} left ${page.process.timers} timers`)
    if (hub.stats().connections > 0) this.fail('connections are left after close()')
  }
}

function chooseOptions(random: SeededRandom): WorldOptions {
  const heartbeatMs = random.pick([0, 1_000, 1_000, 3_000, 3_000, 5_000, 5_000])
  const heartbeat = random.pick(['event', 'event', 'event', 'event', 'comment'] as const)
  return {
    retention: {
      ageMs: random.pick([5_000, 20_000, 60_000]),
      events: random.pick([5, 20, 100, 1_000]),
      bytes: random.pick([200_000, 1_000_000]),
    },
    heartbeatMs,
    heartbeat,
    beatsMoveCursors: heartbeatMs > 0 && heartbeat === 'event',
    conflateWindowMs: random.pick([false, false, 100, 500]),
    reauthorizes: random.chance(0.4),
    brokerLike: random.chance(0.4),
    padBytes: random.chance(0.15) ? random.int(1_000, 6_000) : 0,
  }
}

function someChannels(random: SeededRandom): string[] {
  return CHANNELS.filter(() => random.chance(0.5))
    .concat('default')
    .filter((name, i, all) => all.indexOf(name) === i)
}

function lowerCase(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
