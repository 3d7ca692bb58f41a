import {
  type Ends,
  nameOf,
  readTable,
  remotePortOf,
  TCP4,
  TCP6,
  type TcpTable,
  type Unanswered,
} from './node-tcp-table'
import { readTries } from './node-tcp-tries'

/**
 * Ends streams whose peer has vanished without a word: a cable pulled, a laptop asleep, a router that has forgotten. An event stream
 * brings no answer, but each heartbeat has to be acknowledged by the peer's system, also where the page is frozen or the process is
 * stopped. One look for the whole process tells where that does not happen. Only on Linux: see `docs/decisions/0008-dead-peers.md`.
 */

/** For IPv4 and for IPv6. */
const TABLES = 2

/** Who is told. */
export interface Watched {
  /** Nothing where there is nothing to look at: no TCP, or no more. Asked for once, and not before a look has to know. */
  readonly ends: Ends | undefined
  destroy(): void
}

/** Where heartbeats are off, events are what is not acknowledged. In milliseconds. */
const WITHOUT_HEARTBEATS_MS = 30_000
/** Our client allows for a second, however often heartbeats come, and so does the server. */
const SHORTEST_BEAT_MS = 334
const LOOKS_PER_BEAT = 4
/**
 * Without an answer for so many heartbeats, on top of the one that went out unheard: three are promised, and two looks may come late by
 * a quarter each. What the system takes for its first tries comes off, which only short heartbeats feel.
 */
const BEATS_OF_SILENCE = 1.25
const FIRST_TRIES_MS = 350
/** Of its time the process spends at most one part in so many on looks. */
const SHARE = 10
/** So many streams are asked for their ends in one turn of the event loop. */
const TOGETHER = 64

/** One stream's peer, once a look has met it. */
class PeerWatch {
  readonly table: TcpTable
  #first: Unanswered | undefined
  #last: Unanswered | undefined
  #silentMs = 0

  constructor(
    readonly owner: Watched,
    readonly ends: Ends,
    readonly beatMs: number,
  ) {
    this.table = ends.remoteAddress?.includes(':') ? TCP6 : TCP4
  }

  /** Whether the last look found something that its peer should have acknowledged. */
  get suspect(): boolean {
    return this.#first !== undefined
  }

  /** Takes in what a look has found. The result is whether the peer is gone. */
  judge(found: Unanswered | undefined, sinceLastMs: number): boolean {
    const last = this.#last
    this.#last = found
    // Fewer than before: it has answered in between.
    if (!found || !last || found.attempts < last.attempts || found.bytes < last.bytes) {
      this.#first = found
      this.#silentMs = 0
      return false
    }
    this.#silentMs += sinceLastMs
    // A peer with no room left answers each probe, and the count of older attempts stands still.
    const isTried = this.#first !== undefined && found.attempts > this.#first.attempts
    return isTried && this.#silentMs >= this.beatMs * BEATS_OF_SILENCE - FIRST_TRIES_MS
  }
}

/** All streams of the process, whichever hub they are of. */
export class DeadPeers {
  /** Streams that no look has met yet, with their heartbeats: most need none before they end, and their ends cost more than all the rest here. */
  readonly #unmet = new Map<Watched, number>()
  readonly #watches = new Map<Watched, PeerWatch>()
  readonly #suspects = new Set<PeerWatch>()
  /** How many streams want a look so often, and in which table. */
  readonly #beats = new Map<number, number>()
  readonly #tables = new Map<TcpTable, number>()
  readonly #closed = new Set<TcpTable>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #looking = false
  #lookedAt = 0
  #tries: number | undefined

  constructor(
    readonly read = readTable,
    /** How often the kernel has tried again, for all sockets together. Nothing: the tables are read at every look. */
    readonly tries: () => Promise<number | undefined> = async () => undefined,
  ) {}

  watch(owner: Watched, heartbeatMs: number): void {
    // Another system: there is nothing to look at.
    if (this.#closed.size === TABLES) return
    const beatMs = Math.max(SHORTEST_BEAT_MS, heartbeatMs || WITHOUT_HEARTBEATS_MS)
    this.#unmet.set(owner, beatMs)
    if (!this.#beats.has(beatMs)) this.#stop()
    count(this.#beats, beatMs, 1)
    this.#schedule(0, 0)
  }

  unwatch(owner: Watched): void {
    const watch = this.#watches.get(owner)
    const beatMs = watch?.beatMs ?? this.#unmet.get(owner)
    if (beatMs === undefined) return
    this.#unmet.delete(owner)
    count(this.#beats, beatMs, -1)
    if (watch) {
      this.#watches.delete(owner)
      this.#suspects.delete(watch)
      count(this.#tables, watch.table, -1)
    }
    if (this.#size === 0) this.#stop()
  }

  /** Whether the last look found something that its peer should have acknowledged. */
  suspects(owner: Watched): boolean {
    return this.#watches.get(owner)?.suspect ?? false
  }

  get #size(): number {
    return this.#unmet.size + this.#watches.size
  }

  get #lookMs(): number {
    return Math.min(...this.#beats.keys()) / LOOKS_PER_BEAT
  }

  /** After a look that took so long, and so much work. */
  #schedule(tookMs: number, workMs: number): void {
    if (this.#looking || this.#timer || this.#size === 0) return
    const waitMs = Math.max(this.#lookMs - tookMs, workMs * (SHARE - 1))
    this.#timer = setTimeout(() => void this.#look(), waitMs)
    // Whoever has nothing else to do may end.
    this.#timer.unref()
  }

  #stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  async #look(): Promise<void> {
    this.#timer = undefined
    this.#looking = true
    const startedAt = performance.now()
    // Before the tables: what is tried while they are read is seen at the next look.
    const tries = await this.tries()
    if (tries !== undefined && tries === this.#tries && this.#suspects.size === 0) {
      this.#lookedAt = performance.now()
      this.#looking = false
      this.#schedule(0, 0)
      return
    }
    const usedBefore = process.cpuUsage()
    await this.#meet()
    const found = new Map<string, Unanswered>()
    let isWhole = true
    for (const table of [...this.#tables.keys()]) {
      try {
        await this.read(table, found, () => this.#watches.size > 0)
      } catch (error) {
        isWhole = false
        this.#failed(table, error as NodeJS.ErrnoException)
      }
    }
    const now = performance.now()
    this.#tries = isWhole ? tries : undefined
    if (isWhole && this.#watches.size > 0) this.#judge(found, now)
    this.#looking = false
    const { user, system } = process.cpuUsage(usedBefore)
    const tookMs = now - startedAt
    // A look that has waited for a processor has not worked meanwhile: on a busy machine it would come too seldom for what is promised.
    this.#schedule(tookMs, Math.min(tookMs, (user + system) / 1_000))
  }

  /** Learns the ends of those who have come since the last look, some in each turn. */
  async #meet(): Promise<void> {
    let met = 0
    for (const [owner, beatMs] of this.#unmet) {
      const { ends } = owner
      if (ends?.remoteAddress === undefined || ends.remotePort === undefined) this.unwatch(owner)
      else {
        const watch = new PeerWatch(owner, ends, beatMs)
        if (this.#closed.has(watch.table)) this.unwatch(owner)
        else {
          this.#unmet.delete(owner)
          this.#watches.set(owner, watch)
          count(this.#tables, watch.table, 1)
        }
      }
      if (++met % TOGETHER === 0) await new Promise(setImmediate)
    }
  }

  /** Missing or forbidden stays so; with too many open files it may be better the next time. */
  #failed(table: TcpTable, { code }: NodeJS.ErrnoException): void {
    if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'EPERM') return
    this.#closed.add(table)
    for (const [owner, watch] of this.#watches) if (watch.table === table) this.unwatch(owner)
  }

  #judge(found: ReadonlyMap<string, Unanswered>, now: number): void {
    // A process that stood still must not blame its peers for that.
    const sinceLastMs = Math.min(now - this.#lookedAt, this.#lookMs * 2)
    this.#lookedAt = now
    const ports = new Set([...found.keys()].map(remotePortOf))
    // Nearly always nobody is suspected, and nothing has to be compared.
    if (ports.size > 0) {
      for (const watch of this.#watches.values())
        if (ports.has(watch.ends.remotePort as number)) this.#suspects.add(watch)
    }
    for (const watch of [...this.#suspects]) {
      if (watch.judge(found.get(nameOf(watch.ends) ?? ''), sinceLastMs)) watch.owner.destroy()
      else if (!watch.suspect) this.#suspects.delete(watch)
    }
  }
}

/** The one of this process. */
export const deadPeers = new DeadPeers(readTable, readTries)

function count<Key>(counts: Map<Key, number>, key: Key, by: 1 | -1): void {
  const after = (counts.get(key) ?? 0) + by
  if (after > 0) counts.set(key, after)
  else counts.delete(key)
}
