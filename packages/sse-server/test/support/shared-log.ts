import {
  type Adapter,
  type AdapterStatus,
  type Clock,
  type Cursor,
  EventHub,
  type EventHubOptions,
  HubError,
  type LogEntry,
  type LogListener,
  type LogPage,
  type LogRecord,
  MemoryAdapter,
  type OpenLog,
  type Retention,
} from '@entitycast/sse-server'
import { RecordingLogger, seeded } from './hub'
import { VirtualClock } from './virtual-clock'

interface Ear {
  readonly instance: SharedInstance
  readonly projectId: string
  readonly listener: LogListener
  /** What it has been told, or will be. */
  queue: (() => void)[]
  timer: (() => void) | undefined
}

/** A log that several hubs share, in virtual time: each hears what is appended in its order, after as long as a test says. */
export class SharedLog {
  readonly ears = new Set<Ear>()
  store: MemoryAdapter
  /** How long until an instance hears of a record, in milliseconds. */
  delayMs: (instance: SharedInstance) => number = () => 0
  /** Appends so far, by project. */
  readonly appends = new Map<string, number>()
  #retention: Retention | undefined

  constructor(readonly clock: Clock) {
    this.store = this.#newStore()
  }

  begin(retention: Retention): void {
    if (this.#retention) return
    this.#retention = retention
    this.store.start(retention)
  }

  /** Whatever it plans for itself is no timer of the hubs', whose own are counted. */
  #newStore(): MemoryAdapter {
    const { clock } = this
    const after = () => () => {}
    return new MemoryAdapter({
      clock: { now: () => clock.now(), monotonic: () => clock.monotonic(), defer: (task) => clock.defer(task), after },
    })
  }

  async append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    this.appends.set(projectId, (this.appends.get(projectId) ?? 0) + records.length)
    const cursor = await this.store.append(projectId, records)
    const entries = records.map((record, i) => ({ offset: cursor.offset - records.length + 1 + i, record }))
    for (const ear of this.ears) if (ear.projectId === projectId) this.tell(ear, entries)
    return cursor
  }

  /** Everything is lost: each log is another one. */
  async wipe(): Promise<void> {
    this.store = this.#newStore()
    this.store.start(this.#retention as Retention)
    for (const ear of this.ears) await this.doubt(ear, 'epoch')
  }

  /** Listeners of one instance are told that they may have missed something, all or those of one log. */
  async doubtAll(instance: SharedInstance, projectId?: string): Promise<void> {
    for (const ear of this.ears) {
      if (ear.instance !== instance || (projectId !== undefined && ear.projectId !== projectId)) continue
      await this.doubt(ear, 'broker-gap')
    }
  }

  async doubt(ear: Ear, reason: 'epoch' | 'broker-gap'): Promise<void> {
    const { head, close } = await this.store.open(ear.projectId, { entries() {}, doubt() {} })
    close()
    ear.queue = []
    ear.listener.doubt(head, reason)
  }

  tell(ear: Ear, entries: readonly LogEntry[]): void {
    ear.queue.push(() => ear.listener.entries(entries))
    if (!ear.timer) this.plan(ear)
  }

  plan(ear: Ear): void {
    const task = () => {
      ear.timer = undefined
      const { instance } = ear
      if (instance.isDead || !this.ears.has(ear)) return
      if (!instance.isCutOff) for (const tell of ear.queue.splice(0)) tell()
      if (ear.queue.length > 0 && !instance.isCutOff) this.plan(ear)
    }
    ear.timer = this.clock.after(this.delayMs(ear.instance), task)
  }
}

/** One instance's way to the shared log. */
export class SharedInstance implements Adapter {
  readonly manifest = { name: 'shared', durability: 'broker-memory', shared: true, maxRecordBytes: 1_000_000 } as const
  /** Its process was killed: nothing goes in or out any more. */
  isDead = false
  /** What it calls fails with, while this is so. */
  fails: (call: 'append' | 'open' | 'read', projectId: string) => boolean = () => false
  #isCutOff = false
  #untilOpen: (projectId: string) => Promise<void> | undefined = () => undefined

  constructor(readonly log: SharedLog) {}

  /** Whether it cannot reach the log; what it missed is told when it can again. */
  get isCutOff(): boolean {
    return this.#isCutOff
  }

  set isCutOff(isCutOff: boolean) {
    this.#isCutOff = isCutOff
    if (isCutOff) return
    for (const ear of this.log.ears) if (ear.instance === this && !ear.timer && ear.queue.length > 0) this.log.plan(ear)
  }

  /** What it opens of these logs is open when the result has been called. */
  holdOpening(holds: (projectId: string) => boolean = () => true): () => void {
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    this.#untilOpen = (projectId) => (holds(projectId) ? released : undefined)
    return release
  }

  start(retention: Retention): void {
    this.log.begin(retention)
  }

  append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return this.#call('append', projectId, () => this.log.append(projectId, records))
  }

  open(projectId: string, listener: LogListener): Promise<OpenLog> {
    return this.#call('open', projectId, async () => {
      await this.#untilOpen(projectId)
      const { head, close } = await this.log.store.open(projectId, { entries() {}, doubt() {} })
      close()
      const ear: Ear = { instance: this, projectId, listener, queue: [], timer: undefined }
      this.log.ears.add(ear)
      return {
        head,
        close: () => {
          this.log.ears.delete(ear)
          ear.timer?.()
        },
      }
    })
  }

  read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    return this.#call('read', projectId, () => this.log.store.read(projectId, after, limit))
  }

  status(): AdapterStatus {
    return this.#isCutOff ? 'degraded' : 'ok'
  }

  async close(): Promise<void> {
    for (const ear of this.log.ears) if (ear.instance === this) this.log.ears.delete(ear)
  }

  async #call<Answer>(
    call: 'append' | 'open' | 'read',
    projectId: string,
    ask: () => Promise<Answer>,
  ): Promise<Answer> {
    if (this.isDead) return new Promise<never>(() => {})
    if (this.#isCutOff || this.fails(call, projectId)) throw new HubError('UNAVAILABLE', 'the log cannot be reached')
    return ask()
  }
}

/** Several hubs on one log, in one virtual time. */
export class SharedHubs {
  readonly clock = new VirtualClock()
  readonly log = new SharedLog(this.clock)
  readonly logger = new RecordingLogger()
  readonly members: { readonly hub: EventHub; readonly instance: SharedInstance }[] = []
  #ids = 0
  readonly #random = seeded(11)

  add(options: EventHubOptions = {}, prepare: (instance: SharedInstance) => void = () => {}) {
    const instance = new SharedInstance(this.log)
    prepare(instance)
    const ports = {
      clock: this.clock,
      random: this.#random,
      randomId: () => `id-${String(++this.#ids).padStart(6, '0')}`,
    }
    const hub = new EventHub({ logger: this.logger, limits: false, ...options, adapter: instance, ports })
    const member = { hub, instance }
    this.members.push(member)
    return member
  }

  /** As many hubs that have heard of each other. */
  async start(count: number, options: EventHubOptions = {}): Promise<{ hub: EventHub; instance: SharedInstance }[]> {
    const members = Array.from({ length: count }, () => this.add(options))
    await this.clock.advance(1_500)
    return members
  }

  async end(): Promise<void> {
    for (const { instance } of this.members) instance.isCutOff = false
    const closed = Promise.all(this.members.map(({ hub }) => hub.close()))
    await this.clock.advance(20_000)
    await closed
  }
}
