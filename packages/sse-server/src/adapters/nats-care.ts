import type { Retention } from '@entitycast/sse-server'
import { weightOf } from '../seams/record-text'
import { randomName } from './nats-appends'
import { type Link, pause } from './nats-link'
import type { Stored } from './nats-message'
import type { NatsSettings } from './nats-options'
import type { Wire } from './nats-wire'

/** Subjects that are looked at in one go, between two pauses. */
const BATCH = 50
const MOST_PURGES = 10_000

/** A place in a log, and what was appended after it by this process. */
interface Mark {
  readonly seq: number
  readonly at: number
  last: number
  weight: number
}

/**
 * What is too old or too much is refused by `read`, to the event; here it is taken from the disk, some time later. Each process purges after
 * what it has appended itself, up to a mark that is known to be beyond the retention; the newest message of a project stays, so that
 * its next offset is known, until nobody has used the project for long.
 */
export class Care {
  readonly #marks = new Map<string, Mark>()
  /** Where to purge, up to which place. */
  readonly #purges = new Map<string, number>()
  #isPurging = false
  #sweepAt = 0
  #isSweeping = false

  constructor(
    readonly link: Link,
    readonly settings: NatsSettings,
    readonly retention: Retention,
    readonly subjectOf: (projectId: string) => string,
  ) {
    // Not when all instances have just been started.
    this.#planSweep()
  }

  /** This process has appended. */
  appended(projectId: string, { seq, records }: Stored): void {
    const mark = this.#marks.get(projectId)
    const now = performance.now()
    if (!mark) {
      this.#marks.set(projectId, { seq, at: now, last: seq, weight: 0 })
      return
    }
    for (const record of records) mark.weight += weightOf(record)
    mark.last = seq
    if (mark.weight < this.retention.bytes) return
    this.#purge(this.subjectOf(projectId), mark.seq)
    this.#marks.set(projectId, { seq, at: now, last: seq, weight: 0 })
  }

  /** Called every now and then. */
  round(): void {
    const now = performance.now()
    for (const [projectId, { seq, at, last }] of this.#marks) {
      if (now - at < this.retention.ageMs) continue
      this.#purge(this.subjectOf(projectId), seq)
      if (last > seq) this.#marks.set(projectId, { seq: last, at: now, last, weight: 0 })
      else this.#marks.delete(projectId)
    }
    if (now < this.#sweepAt || this.#isSweeping) return
    this.#planSweep()
    this.#isSweeping = true
    this.#sweep()
      .catch(() => {})
      .finally(() => {
        this.#isSweeping = false
      })
  }

  get #ttlMs(): number {
    return ttlOf(this.settings, this.retention)
  }

  #planSweep(): void {
    const everyMs = Math.min(3_600_000, this.#ttlMs / 4)
    this.#sweepAt = performance.now() + everyMs * (0.5 + Math.random())
  }

  #purge(subject: string, upTo: number): void {
    if (this.#purges.size >= MOST_PURGES) return
    this.#purges.set(subject, Math.max(upTo, this.#purges.get(subject) ?? 0))
    if (this.#isPurging) return
    this.#isPurging = true
    void this.#purgeAll().finally(() => {
      this.#isPurging = false
    })
  }

  async #purgeAll(): Promise<void> {
    for (const [filter, seq] of this.#purges) {
      this.#purges.delete(filter)
      // Where that is not allowed, or fails, the disk holds more than it must; nothing else.
      const { wire } = this.link
      if (wire) await purge(wire, this.settings.stream, filter, seq).catch(() => {})
    }
  }

  /** Forgets the projects that nobody uses. One process does it for all: whoever gets its message in. */
  async #sweep(): Promise<void> {
    const { subjectPrefix, stream } = this.settings
    const ours = `${subjectPrefix}.log.~care`
    const ttlMs = this.#ttlMs
    await this.link.use(async (wire) => {
      const before = await wire.last(ours)
      if (before && Date.now() - before.at < Math.min(3_600_000, ttlMs / 4) / 2) return
      if ((await wire.publish(ours, Buffer.from('care'), before?.seq ?? 0, randomName())) === undefined) return
      // By the server's clock: one of ours that is ahead must not make others' projects look old.
      const now = (await wire.last(ours))?.at
      if (now !== undefined) void this.#forgetAll(wire, stream, ours, now - ttlMs).catch(() => {})
    })
  }

  async #forgetAll(wire: Wire, stream: string, ours: string, before: number): Promise<void> {
    for (let offset = 0; ; ) {
      const question = { subjects_filter: `${this.settings.subjectPrefix}.log.*`, offset }
      const { state, total } = await wire.api(`STREAM.INFO.${stream}`, question)
      const subjects = Object.keys((state as { subjects?: object }).subjects ?? {})
      for (const [i, subject] of subjects.entries()) {
        if (wire.isOver) return
        if (i % BATCH === BATCH - 1) await pause()
        if (subject === ours) continue
        const last = await wire.last(subject)
        // What comes meanwhile lies after that, and goes on from it.
        if (last && last.at < before) await purge(wire, stream, subject, last.seq + 1)
      }
      offset += subjects.length
      if (subjects.length === 0 || !(offset < Number(total))) return
    }
  }
}

/** A head is kept at least as long as its records, and then as long again; and whoever follows it must have had time to say so, several times. */
export function ttlOf({ idleProjectTtlMs, checkIntervalMs }: NatsSettings, { ageMs }: Retention): number {
  return Math.max(idleProjectTtlMs, checkIntervalMs * 10, ageMs * 2)
}

/** Takes what lies before a place. */
async function purge(wire: Wire, stream: string, filter: string, seq: number): Promise<void> {
  // Before the first there is nothing, and the server would take that for no place at all, and purge the whole subject.
  if (seq > 1) await wire.api(`STREAM.PURGE.${stream}`, { filter, seq })
}
