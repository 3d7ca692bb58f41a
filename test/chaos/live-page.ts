import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'
import type { EntityEvent } from '@entitycast/sse-protocol'

export interface Row {
  id: string
  value: number
  version: number
}

/** A page as the documentation has it: load with a cursor, listen from there, load again on resync. */
export class LivePage {
  readonly resyncs: string[] = []
  /** What was counted for it, where the server counts, and where continuity ended. */
  readonly ticks: (number | 'resync')[] = []
  /** Versions that went back, which must never be. */
  readonly backwards: string[] = []
  /** How often its stream was lost. */
  losses = 0
  /** Whether it then comes back at once, and not after a delay that grows from one loss to the next. */
  isHasty = false
  #rows: Row[] = []
  #held: EntityEvent[] | undefined = []
  #subscriber: EventSubscriber | undefined
  #closed = false

  constructor(
    readonly url: () => string,
    readonly name: string,
  ) {}

  get connected(): boolean {
    return this.#subscriber?.state === 'connected' && this.#held === undefined
  }

  /** What it shows, as text that can be compared. */
  get shown(): string {
    return tableText(this.#rows)
  }

  async open(): Promise<void> {
    // All pages of a test may do so at once.
    const { cursor, rows } = await this.#load(60_000)
    this.#rows = rows
    this.#held = undefined
    const subscriber = new EventSubscriber(`${this.url()}/stream`, {
      since: cursor,
      headers: { 'x-client': this.name },
    })
    subscriber.subscribe('row:*', (event) => {
      if (this.#held) this.#held.push(event)
      else this.#apply(event)
    })
    subscriber.on('tick:counted', ({ data }) => this.ticks.push((data as { count: number }).count))
    subscriber.onResync(({ reason }) => {
      this.resyncs.push(reason)
      this.ticks.push('resync')
      this.#held = []
      void this.#reload(this.#held)
    })
    subscriber.onState((state) => {
      if (state !== 'reconnecting') return
      this.losses++
      if (this.isHasty) subscriber.reconnect()
    })
    subscriber.onError(() => {})
    this.#subscriber = subscriber
    subscriber.connect()
  }

  close(): void {
    this.#closed = true
    this.#subscriber?.close()
  }

  #apply(event: EntityEvent): void {
    const before = new Map(this.#rows.map((row) => [row.id, row.version]))
    this.#rows = applyEntityEvent(this.#rows, event)
    for (const { id, version } of this.#rows) {
      if (version < (before.get(id) ?? 0)) this.backwards.push(`${id}: ${before.get(id)} → ${version}`)
    }
  }

  async #load(mostMs: number): Promise<{ cursor: string; rows: Row[] }> {
    const response = await fetch(`${this.url()}/table`, { signal: AbortSignal.timeout(mostMs) })
    return (await response.json()) as { cursor: string; rows: Row[] }
  }

  /**
   * Until it works: the server may be away. Each time it may take twice as long: hundreds of pages load in one process, and where all of them gave up
   * after the same time and asked again, a busy machine would never have answered any.
   */
  async #reload(held: EntityEvent[]): Promise<void> {
    for (let mostMs = 5_000; !this.#closed && this.#held === held; mostMs = Math.min(60_000, 2 * mostMs)) {
      try {
        const { rows } = await this.#load(mostMs)
        if (this.#held !== held) return
        this.#rows = rows
        this.#held = undefined
        for (const event of held) this.#apply(event)
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }
}

export function tableText(rows: readonly Row[]): string {
  return rows
    .map(({ id, value, version }) => `${id} = ${value} (${version})`)
    .sort()
    .join('\n')
}
