import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Retention } from '@entitycast/sse-server'
import type { Link } from './postgres-link'
import type { LiveLog } from './postgres-live'
import type { PostgresSettings } from './postgres-options'
import { channelOf, named, samePast } from './postgres-sql'

/** Projects that are compared in one statement. */
const COMPARED = 500
/** Projects that are read at a time, where they differ. */
const CHECKED = 50
/** Records that one statement deletes, and projects that it looks at. */
const TRIMMED = 500
/** Above this part of it the queue of notifications is left to others. */
const FULL_QUEUE = 0.5

export interface CareOptions {
  readonly link: Link
  readonly settings: PostgresSettings
  readonly retention: Retention
  /** The projects that this process follows. */
  readonly logs: ReadonlyMap<string, LiveLog>
  readonly randomName: () => string
  /** Records were found that no notification had told of. */
  readonly repaired: (count: number) => void
  readonly queueIsFull: () => void
}

/** What has to be done now and then: asking for what no notification has told, and letting go of what is too old. */
export class Care {
  #poll: NodeJS.Timeout | undefined
  #sweep: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(readonly options: CareOptions) {
    this.#plan()
    this.#planSweep()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#poll)
    clearTimeout(this.#sweep)
  }

  /** Compares what this process has seen with the heads, and reads where they differ. */
  async checkAll(): Promise<void> {
    const { link, repaired } = this.options
    const logs = [...this.options.logs]
    for (let i = 0; i < logs.length && link.isUp; i += COMPARED) {
      const differing = await this.#compare(logs.slice(i, i + COMPARED)).catch(() => [])
      for (let k = 0; k < differing.length; k += CHECKED) {
        const found = await Promise.allSettled(differing.slice(k, k + CHECKED).map((log) => log.check()))
        for (const one of found) if (one.status === 'fulfilled') repaired(one.value)
      }
    }
  }

  async #compare(logs: readonly (readonly [projectId: string, log: LiveLog])[]): Promise<LiveLog[]> {
    const { link, settings } = this.options
    const [project, outbox] = [named(settings, 'project'), named(settings, 'outbox')]
    const rows = await link.use((wire) =>
      wire.ask({
        name: 'entitycast_compare',
        text: `SELECT t.project, t.epoch, t.head, t.tag, EXISTS (SELECT FROM ${outbox} o WHERE o.project = t.project)
            OR NOT ${samePast(settings, 't', '$2::text')} AS differs,
            t.used_at < now() - $3::bigint * interval '1 millisecond' AS idle
          FROM ${project} t WHERE t.project = ANY ($1)`,
        values: [logs.map(([projectId]) => projectId), wire.server, Math.floor(this.#idleMs / 4)],
      }),
    )
    // Somebody listens: they are not to be forgotten.
    const idle = rows.filter((row) => row.idle === 't').map((row) => row.project)
    if (idle.length > 0) {
      const text = `UPDATE ${project} t SET used_at = now() WHERE t.project IN (SELECT s.project FROM ${project} s WHERE s.project = ANY ($1) FOR UPDATE SKIP LOCKED)`
      await link.use((wire) => wire.write({ text, values: [idle] }))
    }
    const heads = new Map(rows.map((row) => [row.project, row]))
    return logs.flatMap(([projectId, log]) => {
      const row = heads.get(projectId)
      const isSame =
        row?.differs === 'f' &&
        log.isAt({ epoch: row.epoch as string, offset: Number(row.head), tag: row.tag as string })
      return isSame ? [] : [log]
    })
  }

  /** Whoever listens must have had time to say so, several times. */
  get #idleMs(): number {
    const { settings, retention } = this.options
    return Math.max(settings.idleProjectTtlMs, settings.pollIntervalMs * 10, retention.ageMs * 2)
  }

  #plan(): void {
    this.#poll = setTimeout(() => {
      const { link } = this.options
      const round = link.isUp
        ? [this.checkAll(), this.#look(), link.use((wire) => wire.write({ text: 'SELECT 1' }))]
        : []
      void Promise.allSettled(round).then(() => this.#isClosed || this.#plan())
    }, jittered(this.options.settings.pollIntervalMs)).unref()
  }

  /** Whether the queue of notifications fills, and what was committed into projects that nobody follows, whom no notification wakes. */
  async #look(): Promise<void> {
    const { link, settings, randomName, queueIsFull } = this.options
    const text = `SELECT pg_notification_queue_usage() AS usage, o.project
      FROM (VALUES (1)) one LEFT JOIN (SELECT DISTINCT project FROM ${named(settings, 'outbox')} LIMIT 100) o ON true`
    const rows = await link.use((wire) => wire.ask({ name: 'entitycast_look', text }))
    if (Number(rows[0]?.usage) > FULL_QUEUE) queueIsFull()
    for (const { project } of rows) {
      if (project === null || this.options.logs.has(project as string)) continue
      const settle = `SELECT FROM ${named(settings, 'settle')}($1, $2, $3)`
      await link.use((wire) => wire.ask({ text: settle, values: [wire.server, randomName(), project] }))
    }
  }

  #planSweep(): void {
    const everyMs = Math.min(Math.max(this.options.retention.ageMs / 10, 1_000), 30_000)
    this.#sweep = setTimeout(() => {
      const done = this.options.link.isUp ? this.#trim() : Promise.resolve()
      void done.catch(() => {}).then(() => this.#isClosed || this.#planSweep())
    }, jittered(everyMs)).unref()
  }

  /** One round over all projects, some at a time. One instance at a time; whoever comes meanwhile leaves it to that one. */
  async #trim(): Promise<void> {
    const { link, settings, retention } = this.options
    const { ageMs, events, bytes } = retention
    const lock = createHash('sha256').update(channelOf(settings)).digest().readBigInt64BE().toString()
    while (!this.#isClosed) {
      const startedAt = performance.now()
      const [row] = await link.use((wire) =>
        wire.ask({
          text: `SELECT ${named(settings, 'trim')}($1, $2, $3, $4, $5, $6, $7) AS count`,
          values: [lock, ageMs, events, bytes, settings.pollIntervalMs * 3, this.#idleMs, TRIMMED],
        }),
      )
      if (Number(row?.count) < TRIMMED) return
      // The session that does this is also the one that hears: half of the time it does nothing else.
      await pause(performance.now() - startedAt, undefined, { ref: false })
    }
  }
}

/** Not in step with the other instances, and never later than said. */
function jittered(ms: number): number {
  return ms * (0.75 + Math.random() / 4)
}
