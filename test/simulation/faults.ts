import type { Link } from './network'
import type { Page } from './page'
import type { Source } from './source'
import { LENIENCE_MS, PROJECTS, USERS, type World } from './world'

const HOUR_MS = 3_600_000
/** A client gives up on a silent stream after three heartbeats, but never sooner than this. */
const LEAST_SILENCE_MS = 1_000

interface Fault {
  /** Where it would mean nothing. */
  readonly unless?: boolean
  /** How often, beside the others. */
  readonly weight?: number
  readonly run: () => void
}

/** What goes wrong, one thing after the other, at moments of its own. */
export class Faults {
  constructor(readonly world: World) {}

  schedule(untilMs: number): void {
    const { random, scheduler } = this.world
    for (let time = random.int(500, 3_000); time < untilMs; time += random.int(150, 3_000))
      scheduler.at(time, () => this.#breakSomething())
  }

  #breakSomething(): void {
    const { random, figures } = this.world
    const table = this.#table()
    const names = Object.keys(table).flatMap((name) => Array(table[name]?.weight ?? 1).fill(name) as string[])
    const name = random.pick(names)
    const { unless, run } = table[name] as Fault
    if (unless) return
    figures.faults[name] = (figures.faults[name] ?? 0) + 1
    run()
  }

  #table(): Record<string, Fault> {
    const { world } = this
    const { random, scheduler, backend } = world
    const page = random.pick(world.pages)
    const link = this.#link()
    const down = !backend.up
    const { heartbeatMs } = world.options
    return {
      cut: { run: () => link?.cut() },
      'cut in mid-page': {
        weight: 2,
        run: () => {
          link?.stall(random.int(500, 4_000))
          link?.cutMidPage()
        },
      },
      'cut in mid-replay': {
        weight: 2,
        run: () => {
          link?.cut()
          const reader = world.pages.find(({ process }) => process === link?.client)
          if (reader) this.#cutReplay(reader)
        },
      },
      vanish: { unless: heartbeatMs === 0, run: () => link && this.#vanish(link) },
      stall: { run: () => link?.stall(random.int(500, 40_000)) },
      'restart, log lost': { unless: down, run: () => this.#restart(false) },
      'restart, log kept': { unless: down, run: () => this.#restart(true) },
      'restart twice, log lost': {
        unless: down,
        run: () => {
          this.#restart(false)
          scheduler.after(random.int(200, 3_000), () => backend.stop(false))
          scheduler.after(random.int(3_000, 6_000), () => backend.start())
        },
      },
      'log wiped': { unless: down || !world.options.brokerLike, run: () => backend.wipe() },
      'server closed': {
        unless: down,
        run: () => {
          if (random.chance(0.3)) scheduler.after(random.int(0, 500), () => backend.server.jump(this.#hour()))
          if (random.chance(0.5)) this.#flood()
          backend.deploy()
        },
      },
      'server stopped': { unless: down, run: () => backend.server.freeze(random.int(500, 20_000)) },
      'page asleep': {
        run: () => {
          const ms = random.int(500, 20_000)
          page?.process.freeze(ms)
          if (random.chance(0.5)) scheduler.after(ms, () => page?.wakes(random.chance(0.5)))
        },
      },
      'page back online': { run: () => page?.wakes(random.chance(0.3)) },
      'page left': { run: () => page?.leave(random.int(0, 5_000), random.chance(0.5)) },
      'server clock jumps': { run: () => backend.server.jump(this.#hour()) },
      'page clock jumps': { run: () => page?.process.jump(this.#hour()) },
      revoke: { unless: down, run: () => backend.revoke(this.#victim()) },
      'revoked in silence': {
        weight: 2,
        unless: down || !world.options.reauthorizes || heartbeatMs === 0,
        run: () => backend.revokeInSilence(random.pick(USERS)),
      },
      'thrown out': {
        unless: down,
        run: () => {
          const userId = this.#victim()
          void backend.hub.disconnect({ userId })
          backend.revoke(userId)
        },
      },
      disconnect: { unless: down, run: () => void backend.hub.disconnect({ userId: random.pick(USERS) }) },
      flood: { unless: down, run: () => this.#flood() },
      'a proxy answers': { weight: 2, run: () => world.proxyAnswers(random.int(1, 3)) },
      'connect again': { run: () => page?.again() },
    }
  }

  /** Mostly one with something on its way. */
  #link(): Link | undefined {
    const { random, backend } = this.world
    const links = [...backend.links]
    return (random.chance(0.6) && links.find((one) => one.busy)) || random.pick(links)
  }

  /** Somebody for whom this is a bad moment. */
  #victim(): string {
    const { random, pages } = this.world
    const delicate = random.chance(0.7)
      ? pages.find((page: Page) => page.links.some((link) => link.delicate))
      : undefined
    return delicate?.userId ?? random.pick(USERS)
  }

  #hour(): number {
    return this.world.random.pick([-HOUR_MS, HOUR_MS])
  }

  #restart(keepLog: boolean): void {
    const { random, scheduler, backend } = this.world
    backend.stop(keepLog)
    scheduler.after(random.int(100, 8_000), () => backend.start())
  }

  /** While a page is away there are events, and the stream that replays them breaks too: right at its beginning, or in mid-page. */
  #cutReplay(page: Page): void {
    const { random, sources, scheduler, backend } = this.world
    page.breakNext = random.chance(0.4)
      ? (link) => link.cutAfter(random.int(1, random.pick([300, 1_500])))
      : (link) => link.cutMidPage()
    scheduler.after(random.int(1, 80), () => {
      if (!backend.up) return
      backend.server.enter(() => {
        for (let i = random.int(5, 30); i > 0; i--) sources.get(page.projectId)?.publish()
      })
    })
  }

  #flood(): void {
    const { random, sources, backend } = this.world
    const source = sources.get(random.pick(PROJECTS)) as Source
    backend.server.enter(() => {
      for (let i = random.int(30, 150); i > 0; i--) source.publish()
    })
  }

  /** Three heartbeats later the client must have noticed. */
  #vanish(link: Link): void {
    const { world } = this
    const { scheduler } = world
    const { client } = link
    const { jumps } = client
    const vanishedAt = scheduler.time
    const wasLive = link.clientLive
    link.vanish()
    const silenceMs = Math.max(3 * world.options.heartbeatMs, LEAST_SILENCE_MS)
    scheduler.after(silenceMs + LENIENCE_MS, () => {
      const undisturbed = !client.stopped && client.runsSince <= vanishedAt && client.jumps === jumps
      if (wasLive && undisturbed && link.clientOpen) world.fail('a dead stream was not noticed within three heartbeats')
    })
  }
}
