import assert from 'node:assert/strict'
import type { Adapter, Cursor, LogEntry, LogRecord, Retention } from '@entitycast/sse-server'
import type { AdapterUnderTest, LogUnderTest } from './subject'
import { entriesOf, Ledger, Witness } from './witness'

export const RETENTION: Retention = { ageMs: 60_000, events: 50, bytes: 100_000 }

/** What one check plays with: a log, and as many instances as were asked for. */
export class Cast {
  readonly ledger = new Ledger()
  readonly witnesses: Witness[] = []
  /** How often something was refused, and asked for again. */
  refusals = 0
  readonly #open: (() => void)[] = []

  private constructor(
    readonly subject: AdapterUnderTest,
    readonly log: LogUnderTest,
    readonly retention: Retention,
    readonly isHarmed: boolean,
    readonly adapters: Adapter[],
  ) {}

  /** Runs a check, and afterwards holds every listener to what it was told, and lets everything go. */
  static async play(
    subject: AdapterUnderTest,
    instances: number,
    check: (cast: Cast) => Promise<void>,
    retention = RETENTION,
    isHarmed = false,
  ): Promise<void> {
    const log = await subject.begin(isHarmed)
    const cast = new Cast(subject, log, retention, isHarmed, [])
    try {
      for (let n = 0; n < instances; n++) await cast.join()
      await check(cast)
      cast.settle()
    } finally {
      for (const close of cast.#open) close()
      await Promise.allSettled(cast.adapters.map((adapter) => adapter.close()))
      await log.end()
    }
  }

  get patienceMs(): number {
    return this.subject.patienceMs ?? 10_000
  }

  get instances(): number {
    return this.adapters.length
  }

  /** One more instance. */
  async join(): Promise<Adapter> {
    const adapter = await this.log.create()
    this.adapters.push(adapter)
    adapter.start(this.retention)
    return adapter
  }

  /** The nth instance, counted round and round. */
  on(n: number): Adapter {
    return this.adapters[n % this.adapters.length] as Adapter
  }

  async open(n: number, projectId: string): Promise<{ witness: Witness; head: Cursor; close(): void }> {
    const witness = new Witness(this.ledger, this.patienceMs)
    const { head, close: end } = await this.on(n).open(projectId, witness)
    witness.opened(head)
    this.witnesses.push(witness)
    let isOpen = true
    const close = () => {
      if (isOpen) end()
      isOpen = false
      witness.closed()
    }
    this.#open.push(close)
    return { witness, head, close }
  }

  /** A witness at each instance. */
  async openAll(projectId: string): Promise<Witness[]> {
    const witnesses: Witness[] = []
    for (let n = 0; n < this.instances; n++) {
      witnesses.push((await this.insist(() => this.open(n, projectId))).witness)
    }
    return witnesses
  }

  /** Appends as what a check that harms the broker needs before and afterwards: again where it was refused, which may have happened all the same. */
  accepted(n: number, projectId: string, ...records: LogRecord[]): Promise<Cursor> {
    return this.insist(() => this.append(n, projectId, ...records))
  }

  /**
   * What a call comes to. A check that harms the broker asks again where it was refused with a code: its adapters have short timeouts, and whoever is
   * busy may exceed one at any time.
   */
  async insist<Result>(call: () => Promise<Result>): Promise<Result> {
    const deadline = Date.now() + this.patienceMs
    for (;;) {
      try {
        return await call()
      } catch (error) {
        const isRefused =
          typeof (error as { code?: unknown }).code === 'string' && !(error instanceof assert.AssertionError)
        if (!this.isHarmed || !isRefused || Date.now() > deadline) throw error
        this.refusals++
      }
      await pause()
    }
  }

  /** Appends through the nth instance, and remembers where that was. */
  async append(n: number, projectId: string, ...records: LogRecord[]): Promise<Cursor> {
    const cursor = await this.on(n).append(projectId, records)
    records.forEach((one, i) => {
      this.ledger.note(cursor.epoch, cursor.offset - records.length + 1 + i, one)
    })
    return cursor
  }

  /** All that lies after a cursor, as the nth instance reads it. */
  async readAll(n: number, projectId: string, after: Cursor): Promise<LogEntry[]> {
    const all: LogEntry[] = []
    for (let at = after; ; ) {
      const entries = entriesOf(await this.on(n).read(projectId, at, 1_000))
      if (entries.length === 0) return all
      for (const { offset, record } of entries) {
        assert.equal(offset, at.offset + 1, 'what was read has no hole')
        this.ledger.note(after.epoch, offset, record)
        at = { ...at, offset }
      }
      all.push(...entries)
    }
  }

  /** Waits for what an adapter comes to say. */
  async eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = Date.now() + this.patienceMs
    while (!(await holds())) {
      assert(Date.now() < deadline, `not within ${this.patienceMs} ms: ${what}`)
      await pause()
    }
  }

  /** Nobody was told what must not be. */
  settle(): void {
    for (const { faults } of this.witnesses) assert.deepEqual(faults, [])
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 10)
  })
}

/** That a call rejects, within bounded time. */
export async function rejects(call: () => Promise<unknown>, what: string, patienceMs = 30_000): Promise<Error> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`nothing in ${patienceMs} ms`), patienceMs)
  })
  const outcome = await Promise.race([
    call().then(
      () => 'an answer',
      (error) => (error instanceof Error ? error : `a rejection with ${typeof error}, which is no error`),
    ),
    late,
  ])
  clearTimeout(timer)
  if (typeof outcome === 'string') assert.fail(`${what}: ${outcome}, where it must reject with an error`)
  return outcome
}
