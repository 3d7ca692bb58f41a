import {
  type Adapter,
  type Cursor,
  EventHub,
  HubError,
  type LogListener,
  MemoryAdapter,
  serveStream,
} from '@entitycast/sse-server'
import type { Link } from './network'
import { Process } from './process'
import { SeededRandom } from './random'
import type { Source } from './source'
import { LENIENCE_MS, type World } from './world'

/** What `close()` may take beyond the drain. */
const CLOSE_MS = 4_500
/** What is written to a socket at a time, before it is looked at again. */
const PAGE_BYTES = 65_536
const AWAY = 'the log is away'
const UNASKED = 'nobody can be asked'

/** A project's log that the hub listens to. */
interface Following {
  readonly projectId: string
  readonly listener: LogListener
  /** Something has not been told: nothing is, until that has been said. */
  lost: boolean
}

/** The server: a process with the real hub in it, its log, and the application's word on who may see what. */
export class Backend {
  hub!: EventHub
  server!: Process
  /** Requests are answered. */
  up = false
  /** The hub is being closed. */
  draining = false
  readonly links = new Set<Link>()
  readonly revoked = new Set<string>()
  #adapter: MemoryAdapter | undefined
  readonly #following = new Set<Following>()
  #logins = 0
  #stallMs = 0

  constructor(readonly world: World) {}

  start(): void {
    if (this.up) return
    const { world } = this
    const { random, options } = world
    const server = new Process(world.scheduler)
    this.server = server
    const chance = new SeededRandom(random.int(0, 2 ** 31))
    const ports = { clock: server, random: chance.next, randomId: () => chance.text(16) }
    this.#following.clear()
    if (!this.#adapter) this.#newLog()
    this.#stallMs = random.pick([3_000, 30_000])
    this.hub = new EventHub({
      adapter: this.#throughNetwork(server),
      ports,
      logger: {
        warn: () => {},
        error: (message, details) => {
          const text = JSON.stringify(details)
          if (!text.includes(AWAY) && !text.includes(UNASKED)) world.fail(`logged: ${message} ${text}`)
        },
      },
      heartbeatIntervalMs: options.heartbeatMs || false,
      heartbeat: options.heartbeat,
      conflateWindowMs: options.conflateWindowMs,
      maxAgeMs: random.pick([10_000, 60_000, false as const]),
      stallTimeoutMs: this.#stallMs,
      // A broker keeps more than a hub does: whoever is behind is read to from the log.
      retention: options.brokerLike ? { ...options.retention, events: 5 } : options.retention,
      maxEventBytes: 100_000,
    })
    this.up = true
    for (const source of world.sources.values()) source.republish()
  }

  /** The process is killed. A log that is kept outlives it, as a broker's does. */
  stop(keepLog: boolean): void {
    if (!this.up) return
    this.up = this.draining = false
    this.server.kill()
    if (!keepLog) {
      this.#adapter = undefined
      this.world.explained.add('epoch')
      for (const source of this.world.sources.values()) source.lost()
    }
    for (const link of this.links) link.cut()
    this.links.clear()
  }

  /** A release: the hub is closed while everything goes on, then the process ends, and another one takes its place. */
  deploy(): void {
    if (!this.up || this.draining) return
    const { world, hub, server } = this
    const { random, scheduler } = world
    const drainMs = random.pick([0, 500, 3_000])
    const began = scheduler.time
    this.draining = true
    const late = () => server.alive && !server.stopped && server.runsSince <= began
    scheduler.after(drainMs + CLOSE_MS, () => {
      if (late()) world.fail(`close({ drainMs: ${drainMs} }) has not returned`)
    })
    void hub.close({ drainMs }).then(() => {
      if (!server.alive) return
      if ([...this.links].some((link) => link.served)) world.fail('close() has left an open stream')
      this.stop(random.chance(0.7))
      scheduler.after(random.pick([0, 300, 3_000]), () => this.start())
    })
  }

  /** Credentials for a user: some end soon. */
  login(userId: string): string {
    const { random, chaos } = this.world
    const lifeMs = chaos && random.chance(0.4) ? random.pick([random.int(100, 900), random.int(1_500, 8_000)]) : 0
    return `${userId} ${lifeMs > 0 ? this.server.now() + lifeMs : ''} ${++this.#logins}`
  }

  /** A request has arrived. */
  accept(link: Link): void {
    const { world, server, hub } = this
    const { random, options } = world
    this.links.add(link)
    link.refusesStreams = () => this.draining && this.server === server
    link.mayBeat = !options.reauthorizes
    const [userId = '', ends] = link.request.header('authorization')?.split(' ') ?? []
    const authorize = async () => {
      if (this.revoked.has(userId)) throw new HubError('FORBIDDEN', 'revoked')
      let expiresAt = ends ? Number(ends) : undefined
      if (expiresAt !== undefined && expiresAt <= server.now()) return null
      link.granted = true
      // Now and then it ends in the middle of a replay.
      if (world.chaos && random.chance(0.12)) expiresAt = server.now() + random.int(5, 1_500)
      if (world.chaos && random.chance(0.05))
        server.run(3, () => this.up && this.server === server && this.revoke(userId))
      // The answer of a database that is read takes its time, and the world may change meanwhile.
      await pause(server, random.pick([0, 0, 5, 300]))
      if (expiresAt !== undefined) link.grantedUntil = server.monotonic() + expiresAt - server.now()
      return { projectId: link.request.header('x-project') as string, userId, channels: 'all' as const, expiresAt }
    }
    const reauthorize = async () => {
      // Only the heartbeat before which it is asked waits for the answer; the next one does not.
      world.scheduler.after(options.heartbeatMs / 2, () => {
        link.mayBeat = true
      })
      const mood = world.chaos ? random.next() : 1
      if (mood < 0.03) throw new Error(UNASKED)
      if (mood < 0.05) await pause(server, 60_000)
      if (mood < 0.5) await pause(server, random.pick([0, 5, 300]))
      const allowed = !this.revoked.has(userId)
      if (allowed) link.mayBeat = true
      else {
        link.seal('the refusal')
        world.scheduler.after(0, () => link.expectNothingQueued())
      }
      return allowed
    }
    const asked = options.reauthorizes ? { authorize, reauthorize } : { authorize }
    void serveStream(hub, asked, undefined, link.request, link)
  }

  /** Takes a user's rights away, and the streams with them. */
  revoke(userId: string): void {
    const { world } = this
    this.revoked.add(userId)
    const mine = this.hub.connections({ userId }).length
    // Sealed first: whatever is handed to a socket from here on is a breach.
    const sealed = world.pages
      .filter((page) => page.userId === userId)
      .flatMap((page) => page.links.filter((link) => !link.gone))
    for (const link of sealed) link.seal('the revocation')
    void this.hub.revoke({ userId })
    for (const link of sealed) link.expectNothingQueued()
    if (this.hub.connections({ userId }).length > 0) world.fail(`revoke left ${mine} connections`)
    world.scheduler.after(world.random.int(1_000, 20_000), () => this.grant(userId))
  }

  /** Takes the rights away without a word to the hub: whoever is asked before a heartbeat knows. */
  revokeInSilence(userId: string): void {
    this.revoked.add(userId)
    this.world.scheduler.after(this.world.random.int(1_000, 20_000), () => this.grant(userId))
  }

  grant(userId: string): void {
    this.revoked.delete(userId)
    for (const page of this.world.pages) if (page.userId === userId) page.again()
  }

  /** After each step: what no socket may do or hold. */
  check(): void {
    const { world, server } = this
    const { time } = world.scheduler
    for (const link of this.links) {
      if (link.breach) world.fail(link.breach)
      // What a socket may hold is its mark, and a page.
      if (link.peakUnsent > link.options.fullBytes + 2 * PAGE_BYTES + 2 * world.options.padBytes)
        world.fail(`a socket held ${link.peakUnsent} bytes`)
      if (link.gone) this.links.delete(link)
      else if (link.served && !server.stopped) this.#expectInTime(link, time)
    }
  }

  #expectInTime({ grantedUntil, stuckSince }: Link, time: number): void {
    const { world, server } = this
    const ranFor = time - server.runsSince
    if (Math.min(time - grantedUntil, ranFor) > LENIENCE_MS) world.fail('a stream is open, and its grant has ended')
    if (Math.min(time - stuckSince, ranFor) > this.#stallMs + 2 * LENIENCE_MS)
      world.fail(`a socket that takes nothing is open after ${Math.round(time - stuckSince)} ms`)
  }

  /** The broker's data is gone, and the server lives: the log begins anew, and whoever listens is told so. */
  wipe(): void {
    if (!this.up) return
    const { world, server } = this
    const log = this.#newLog()
    world.explained.add('epoch')
    for (const source of world.sources.values()) source.lost()
    for (const follow of this.#following) {
      follow.lost = true
      server.run(world.random.int(0, 200), () => {
        if (this.#adapter !== log) return
        void this.#listen(log, follow).then((head) => {
          follow.lost = false
          follow.listener.doubt(head, 'epoch')
        })
      })
    }
  }

  #newLog(): MemoryAdapter {
    const chance = new SeededRandom(this.world.random.int(0, 2 ** 31))
    const log = new MemoryAdapter({ clock: this.server, randomId: () => chance.text(16) })
    log.start(this.world.options.retention)
    this.#adapter = log
    return log
  }

  /** The log as a broker serves it: answers take their time, or do not come, and sometimes it is not sure to have told everything. */
  #throughNetwork(server: Process): Adapter {
    const { world } = this
    const { random } = world
    const slow = world.options.brokerLike
    const log = () => this.#adapter as MemoryAdapter
    let answersAt = 0
    // One after the other: what is not answered when the server dies is the end of what was sent.
    const inOrder = () => {
      answersAt = Math.max(answersAt, world.scheduler.time + (slow ? random.int(0, 60) : 0))
      return pause(server, answersAt - world.scheduler.time)
    }
    return {
      manifest: log().manifest,
      start: () => {},
      append: async (projectId, records) => {
        const head = this.#atHead(projectId, await log().append(projectId, records))
        await inOrder()
        return head
      },
      open: async (projectId, listener) => {
        const follow: Following = { projectId, listener, lost: false }
        const head = await this.#listen(log(), follow)
        this.#following.add(follow)
        if (slow) await pause(server, random.pick([0, 100, 300, 1_000]))
        // The log stays open: a broker does not forget it while the server is away.
        return { head, close: () => void this.#following.delete(follow) }
      },
      read: async (...args) => {
        const page = await log().read(...args)
        if (slow) await pause(server, random.pick([0, 100, 300, 1_000]))
        if (slow && world.logFails && random.chance(0.25)) throw new Error(AWAY)
        return page
      },
      close: async () => {},
    }
  }

  /** Listens to a log for the hub; may miss something, and then says so. */
  async #listen(log: MemoryAdapter, follow: Following): Promise<Cursor> {
    const { world, server } = this
    const { random } = world
    const { projectId, listener } = follow
    const { head } = await log.open(projectId, {
      doubt: () => {},
      entries: (entries) => {
        if (follow.lost || this.#adapter !== log || !server.alive) return
        follow.lost = world.chaos && world.options.brokerLike && random.chance(0.01)
        if (!follow.lost) {
          listener.entries(entries)
          return
        }
        world.explained.add('broker-gap')
        server.run(random.int(0, 200), () => {
          if (this.#adapter !== log) return
          follow.lost = false
          listener.doubt((world.sources.get(projectId) as Source).head as Cursor, 'broker-gap')
        })
      },
    })
    return this.#atHead(projectId, head)
  }

  #atHead(projectId: string, head: Cursor): Cursor {
    const source = this.world.sources.get(projectId) as Source
    source.head = head
    return head
  }
}

function pause(server: Process, ms: number): Promise<void> | undefined {
  return ms > 0 ? new Promise<void>((resolve) => void server.run(ms, resolve)) : undefined
}
