import type { Cursor } from '@entitycast/sse-protocol'
import type {
  Adapter,
  AdapterManifest,
  LogEntry,
  LogListener,
  LogPage,
  LogRecord,
  OpenLog,
  Retention,
} from '../seams/adapter'
import type { Ports } from '../seams/ports'
import { systemClock, systemRandomId } from '../seams/system'
import { RetentionWindow } from '../seams/window'

/** A timer that is set for longer is due at once. */
const MAX_TIMER_MS = 2_147_483_647

interface MemoryLog {
  readonly epoch: string
  readonly window: RetentionWindow<LogEntry>
  readonly listeners: Set<Listening>
  /** Appended, and not yet told. */
  untold: LogEntry[]
  telling: boolean
  usedAt: number
}

interface Listening {
  readonly listener: LogListener
  /** The head when it began. */
  readonly after: number
}

/**
 * The log in this process's memory: the hub's default. Nothing else to run, one process only, and a restart begins a new
 * epoch, so that every client is told to resync.
 */
export class MemoryAdapter implements Adapter {
  readonly manifest: AdapterManifest = {
    name: 'memory',
    durability: 'none',
    shared: false,
    maxRecordBytes: Number.MAX_SAFE_INTEGER,
  }
  readonly #logs = new Map<string, MemoryLog>()
  readonly #ports: Pick<Ports, 'clock' | 'randomId'>
  #retention: Retention | undefined
  #sweptAt = 0
  /** Ends the wait for the next sweep. There is one as long as anything is kept, and none otherwise. */
  #endWait: (() => void) | undefined
  #closed = false

  constructor(ports: Partial<Ports> = {}) {
    this.#ports = { clock: ports.clock ?? systemClock, randomId: ports.randomId ?? systemRandomId }
  }

  start(retention: Retention): void {
    this.#retention = retention
  }

  async append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    const log = this.#log(projectId)
    const now = log.usedAt
    const entries: LogEntry[] = []
    for (const record of records) {
      const entry = { offset: log.window.last + 1, record }
      log.window.push(entry, now)
      entries.push(entry)
    }
    // A listener may append in turn while it is told: what it adds is not the end of this.
    const end = { epoch: log.epoch, offset: log.window.last }
    this.#planSweep()
    log.untold.push(...entries)
    tell(log)
    return end
  }

  async open(projectId: string, listener: LogListener): Promise<OpenLog> {
    const log = this.#log(projectId)
    const listening = { listener, after: log.window.last }
    log.listeners.add(listening)
    return {
      head: { epoch: log.epoch, offset: listening.after },
      close: () => {
        log.listeners.delete(listening)
      },
    }
  }

  async read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    const log = this.#log(projectId)
    log.window.trim(log.usedAt)
    if (after.epoch !== log.epoch) return { gap: 'epoch' }
    if (after.offset > log.window.last) return { gap: 'ahead' }
    if (!log.window.reaches(after.offset)) return { gap: 'expired' }
    const entries: LogEntry[] = []
    for (let offset = after.offset + 1; entries.length < limit; offset++) {
      const entry = log.window.at(offset)
      if (!entry) break
      entries.push(entry)
    }
    return { entries }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#endWait?.()
    this.#logs.clear()
  }

  #log(projectId: string): MemoryLog {
    if (this.#closed || !this.#retention) throw new Error('the memory adapter is not open')
    const now = this.#ports.clock.monotonic()
    if (now - this.#sweptAt >= this.#sweepMs) this.#sweep(now)
    let log = this.#logs.get(projectId)
    if (!log) {
      log = {
        epoch: this.#ports.randomId(),
        window: new RetentionWindow(this.#retention, 0),
        listeners: new Set(),
        untold: [],
        telling: false,
        usedAt: now,
      }
      this.#logs.set(projectId, log)
    }
    log.usedAt = now
    return log
  }

  /** Two of them are longer than anything is kept, where a timer can be that long. */
  get #sweepMs(): number {
    return Math.min((this.#retention as Retention).ageMs / 2 + 1, MAX_TIMER_MS)
  }

  /** Sweeps in a while also where nobody calls, and again until nothing is left. */
  #planSweep(): void {
    const { clock } = this.#ports
    this.#endWait ??= clock.after(this.#sweepMs, () => {
      this.#endWait = undefined
      this.#sweep(clock.monotonic())
      if ([...this.#logs.values()].some(({ window }) => window.size > 0)) this.#planSweep()
    })
  }

  /** Lets go of what has expired, and forgets projects that nobody listens to and that have nothing left: their next cursor is of a new epoch. */
  #sweep(now: number): void {
    const { ageMs } = this.#retention as Retention
    this.#sweptAt = now
    for (const [projectId, log] of this.#logs) {
      if (log.listeners.size === 0 && now - log.usedAt > ageMs) this.#logs.delete(projectId)
      else log.window.trim(now)
    }
  }
}

/** One record after the other, to all: a listener that appends in turn must not have its record overtake the one it was told. */
function tell(log: MemoryLog): void {
  if (log.telling) return
  log.telling = true
  try {
    while (log.untold.length > 0) {
      const entries = log.untold
      log.untold = []
      for (const { listener, after } of log.listeners) {
        const isNew = (entries[0] as LogEntry).offset > after
        listener.entries(isNew ? entries : entries.filter(({ offset }) => offset > after))
      }
    }
  } finally {
    log.telling = false
  }
}
