import {
  type Adapter,
  type Cursor,
  EventHub,
  HubError,
  MemoryAdapter,
  type Retention,
  serveStream,
} from '@entitycast/sse-server'
import { type ClientResponse, Link } from './network'
import { Page } from './page'
import { Process } from './process'
import { SeededRandom } from './random'
import { Scheduler } from './scheduler'
import { Source } from './source'

const PROJECTS = ['alpha', 'beta']
export const CHANNELS = ['default', 'locks', 'audit']
const USERS = ['u1', 'u2', 'u3']
/** When everything works again, every page must be right within this virtual time. */
const RECOVERY_MS = 240_000

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
  faults: Record<string, number>
}

/**
 * The real hub, the real subscriber and the in-memory log in virtual time, over a simulated network, with everything that can go wrong
 * going wrong. One seed is one world.
 */
export class World {
  readonly scheduler = new Scheduler()
  readonly random: SeededRandom
  readonly sources = new Map<string, Source>()
  readonly pages: Page[] = []
  readonly links = new Set<Link>()
  readonly revoked = new Set<string>()
  readonly figures: Figures = {
    steps: 0,
    virtualMs: 0,
    published: 0,
    delivered: 0,
    resyncs: {},
    connects: 0,
    faults: {},
  }
  readonly retention: Retention
  /** Faults so far that explain a resync. */
  epochLost = 0
  hub!: EventHub
  server!: Process
  #adapter: MemoryAdapter | undefined
  #up = false
  #chaos = true
  readonly #heartbeatIntervalMs: number
  readonly #conflateWindowMs: number | false
  readonly #pad: number
  readonly #violations: string[] = []

  constructor(readonly seed: number) {
    this.random = new SeededRandom(seed)
    const { random } = this
    this.retention = {
      ageMs: random.pick([5_000, 20_000, 60_000]),
      events: random.pick([5, 20, 100, 1_000]),
      bytes: random.pick([200_000, 1_000_000]),
    }
    this.#heartbeatIntervalMs = random.pick([1_000, 3_000, 5_000])
    this.#conflateWindowMs = random.pick([false, false, 100, 500])
    // Some worlds have events so large that catching up takes many pages.
    this.#pad = random.chance(0.15) ? random.int(1_000, 6_000) : 0
    for (const projectId of PROJECTS) this.sources.set(projectId, new Source(this, projectId))
  }

  fail(message: string): void {
    if (this.#violations.length < 20) this.#violations.push(`${Math.round(this.scheduler.time)} ms: ${message}`)
  }

  fault(name: string): void {
    this.figures.faults[name] = (this.figures.faults[name] ?? 0) + 1
  }

  get up(): boolean {
    return this.#up
  }

  get pad(): string {
    return 'x'.repeat(this.#pad)
  }

  async run(): Promise<Figures> {
    const { random, scheduler } = this
    this.#start()
    const pages = random.int(1, 4)
    for (let i = 0; i < pages; i++) {
      const page = new Page(
        this,
        i,
        random.pick(PROJECTS),
        random.pick(USERS),
        random.chance(0.4) ? this.#someChannels() : undefined,
      )
      this.pages.push(page)
      scheduler.at(random.int(0, 2_000), () => page.load())
    }
    const chaosMs = random.int(4_000, 18_000)
    this.#schedulePublishing()
    this.#scheduleFaults(chaosMs)
    await this.#runUntil(() => scheduler.time >= chaosMs)
    this.#heal()
    const healedAt = scheduler.time
    await this.#runUntil(
      () => scheduler.time >= healedAt + RECOVERY_MS || (scheduler.time > healedAt + 1_000 && this.#settled()),
    )
    if (!this.#settled()) {
      for (const page of this.pages) if (!page.upToDate()) this.fail(`no progress: ${page.describe()}`)
    }
    for (const page of this.pages) page.compare()
    await this.#tearDown()
    if (this.#violations.length > 0) throw new Violation(`seed ${this.seed}\n  ${this.#violations.join('\n  ')}`)
    this.figures.virtualMs = scheduler.time
    return this.figures
  }

  /** A request of a page: answered by whatever process runs the server when it arrives. */
  request(
    client: Process,
    url: string,
    headers: Record<string, string>,
    signal: AbortSignal,
    opened: (link: Link) => void,
  ): Promise<ClientResponse> {
    const { random, scheduler } = this
    const lowered = lowerCase(headers)
    this.figures.connects++
    return new Promise((answered, failed) => {
      const link = new Link(
        this.server,
        client,
        random,
        {
          latencyMs: random.pick([1, 20, 200]),
          windowBytes: random.pick([300, 2_000, 60_000]) + 2 * this.#pad,
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
      const refuse = () => client.enter(() => failed(new Error('refused')))
      scheduler.after(random.int(1, 50), () => {
        if (!this.#up) return refuse()
        const { server, hub } = this
        server.enter(() => {
          this.links.add(link)
          const userId = lowered['x-user'] as string
          const authorize = async () => {
            if (this.revoked.has(userId)) throw new HubError('FORBIDDEN', 'revoked')
            link.granted = true
            if (this.#chaos && random.chance(0.05)) server.run(3, () => this.#up && this.#revoke(userId))
            const expiresAt = this.#chaos && random.chance(0.3) ? server.now() + random.int(2_000, 10_000) : undefined
            // The answer of a database that is read takes its time, and the world may change meanwhile.
            await new Promise<void>((resolve) => void server.run(random.pick([0, 0, 5, 300]), resolve))
            if (expiresAt !== undefined) link.grantedUntil = server.monotonic() + expiresAt - server.now()
            return { projectId: lowered['x-project'] as string, userId, channels: 'all' as const, expiresAt }
          }
          void serveStream(hub, { authorize }, undefined, link.request, link)
        })
      })
    })
  }

  #start(): void {
    if (this.#up) return
    const server = new Process(this.scheduler)
    this.server = server
    const random = new SeededRandom(this.random.int(0, 2 ** 31))
    const ports = { clock: server as never, random: random.next, randomId: () => random.text(16) }
    this.#adapter ??= new MemoryAdapter(ports)
    const log = this.#adapter
    // A log that outlives the process, as a broker's does: the hub's end is not the log's.
    const adapter = Object.assign(Object.create(log), {
      manifest: log.manifest,
      start: log.start.bind(log),
      append: async (...args: Parameters<Adapter['append']>) => this.#atHead(args[0], await log.append(...args)),
      open: async (...args: Parameters<Adapter['open']>) => {
        const open = await log.open(...args)
        this.#atHead(args[0], open.head)
        return open
      },
      read: log.read.bind(log),
      close: async () => {},
    })
    this.hub = new EventHub({
      adapter,
      ports,
      logger: {
        warn: () => {},
        error: (message, details) => this.fail(`logged: ${message} ${JSON.stringify(details)}`),
      },
      heartbeatIntervalMs: this.#heartbeatIntervalMs,
      conflateWindowMs: this.#conflateWindowMs,
      maxAgeMs: this.random.pick([10_000, 60_000, false as const]),
      stallTimeoutMs: this.random.pick([3_000, 30_000]),
      retention: this.retention,
      maxEventBytes: 100_000,
    })
    this.#up = true
    for (const source of this.sources.values()) source.republish()
  }

  #atHead(projectId: string, head: Cursor): Cursor {
    const source = this.sources.get(projectId) as Source
    source.head = head
    return head
  }

  #stop(keepLog: boolean): void {
    if (!this.#up) return
    this.#up = false
    this.server.kill()
    if (!keepLog) {
      this.#adapter = undefined
      this.epochLost++
      for (const source of this.sources.values()) source.lost()
    }
    for (const link of this.links) link.cut()
    this.links.clear()
  }

  #schedulePublishing(): void {
    const { random, scheduler } = this
    const source = this.sources.get(random.pick(PROJECTS)) as Source
    const burst = random.chance(0.15) ? random.int(5, 40) : 1
    if (this.#up)
      this.server.enter(() => {
        for (let i = 0; i < burst; i++) source.publish()
      })
    const pauseMs = random.chance(0.05) ? random.int(1_000, 5_000) : random.int(5, 600)
    scheduler.after(pauseMs, () => {
      if (this.#chaos) this.#schedulePublishing()
    })
  }

  #scheduleFaults(untilMs: number): void {
    const { random, scheduler } = this
    for (let time = random.int(500, 3_000); time < untilMs; time += random.int(150, 3_000)) {
      scheduler.at(time, () => this.#breakSomething())
    }
  }

  #breakSomething(): void {
    const { random, scheduler } = this
    const links = [...this.links]
    const link = (random.chance(0.6) && links.find((one) => one.busy)) || random.pick(links)
    const page = random.pick(this.pages)
    const faults: Record<string, () => void> = {
      cut: () => link?.cut(),
      'cut in mid-page': () => {
        link?.stall(random.int(500, 4_000))
        link?.cutMidPage()
      },
      vanish: () => link?.vanish(),
      stall: () => link?.stall(random.int(500, 40_000)),
      'restart, log lost': () => {
        this.#stop(false)
        scheduler.after(random.int(100, 8_000), () => this.#start())
      },
      'restart, log kept': () => {
        this.#stop(true)
        scheduler.after(random.int(100, 8_000), () => this.#start())
      },
      'server stopped': () => this.server.freeze(random.int(500, 20_000)),
      'page asleep': () => page?.process.freeze(random.int(500, 20_000)),
      'server clock jumps': () => {
        this.server.wallOffset += random.pick([-3_600_000, 3_600_000])
      },
      'page clock jumps': () => {
        if (page) page.process.wallOffset += random.pick([-3_600_000, 3_600_000])
      },
      revoke: () => this.#revoke(this.#delicate()?.userId ?? random.pick(USERS)),
      'thrown out': () => {
        const userId = this.#delicate()?.userId ?? random.pick(USERS)
        this.hub.disconnect({ userId })
        this.#revoke(userId)
      },
      disconnect: () => this.hub.disconnect({ userId: random.pick(USERS) }),
      flood: () => {
        const source = this.sources.get(random.pick(PROJECTS)) as Source
        if (this.#up)
          this.server.enter(() => {
            for (let i = random.int(30, 150); i > 0; i--) source.publish()
          })
      },
      'connect again': () => page?.again(),
    }
    const names = Object.keys(faults)
    const name = random.pick(names)
    if (
      !this.#up &&
      [
        'revoke',
        'thrown out',
        'disconnect',
        'flood',
        'restart, log lost',
        'restart, log kept',
        'server stopped',
      ].includes(name)
    )
      return
    this.fault(name)
    faults[name]?.()
  }

  /** A page for which this is a bad moment. */
  #delicate(): Page | undefined {
    return this.random.chance(0.7) ? this.pages.find((page) => page.links.some((link) => link.delicate)) : undefined
  }

  #revoke(userId: string): void {
    this.revoked.add(userId)
    const mine = this.hub.connections({ userId }).length
    // Sealed first: whatever is handed to a socket from here on is a breach.
    const sealed = this.pages
      .filter((page) => page.userId === userId)
      .flatMap((page) => page.links.filter((link) => !link.gone))
    this.hub.revoke({ userId })
    for (const link of sealed) link.seal()
    if (this.hub.connections({ userId }).length > 0) this.fail(`revoke left ${mine} connections`)
    this.scheduler.after(this.random.int(1_000, 20_000), () => this.#grant(userId))
  }

  #grant(userId: string): void {
    this.revoked.delete(userId)
    for (const page of this.pages) if (page.userId === userId) page.again()
  }

  #heal(): void {
    this.#chaos = false
    this.server.wake()
    for (const page of this.pages) page.process.wake()
    if (!this.#up) this.#start()
    for (const userId of [...this.revoked]) this.#grant(userId)
  }

  #settled(): boolean {
    return this.#up && this.pages.every((page) => page.upToDate())
  }

  async #runUntil(done: () => boolean): Promise<void> {
    const { scheduler } = this
    while (!done() && this.#violations.length === 0) {
      if (scheduler.next === undefined) return
      await scheduler.step()
      this.figures.steps++
      for (const page of this.pages) page.check()
      for (const link of this.links) {
        if (link.breach) this.fail(link.breach)
        // What a socket may hold is its mark, and a page.
        if (link.peakUnsent > link.options.fullBytes + 65_536 * 2 + 100_000)
          this.fail(`a socket held ${link.peakUnsent} bytes`)
        if (link.gone) this.links.delete(link)
      }
    }
  }

  async #tearDown(): Promise<void> {
    for (const page of this.pages) page.close()
    const closing = this.hub.close()
    let closed = false
    void closing.then(() => {
      closed = true
    })
    const end = this.scheduler.time + 10_000
    while (!closed && this.scheduler.next !== undefined && this.scheduler.time < end) await this.scheduler.step()
    if (!closed) this.fail('close() did not return')
    for (const page of this.pages)
      if (page.process.timers > 0) this.fail(`page ${page.index} left ${page.process.timers} timers`)
    if (this.hub.stats().connections > 0) this.fail('connections are left after close()')
  }

  #someChannels(): string[] {
    return CHANNELS.filter(() => this.random.chance(0.5))
      .concat('default')
      .filter((name, i, all) => all.indexOf(name) === i)
  }
}

function lowerCase(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
