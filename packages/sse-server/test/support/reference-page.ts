import type { ReceivedFrame } from './frames'

type Fields = Record<string, unknown>

const CONTROL = new Set(['connected', 'heartbeat', 'resync', 'closing'])

/**
 * A page in a browser, in the fewest words: rows by entity and id, the newest version of each, and the facts it was told. What it shows in
 * the end is what delivery is about; how it got there is not.
 */
export class ReferencePage {
  readonly #rows = new Map<string, Fields>()
  readonly #newest = new Map<string, number>()
  /** Entities of which it was told only that they changed. */
  readonly #toLoad = new Set<string>()
  readonly #facts: unknown[] = []
  readonly #newestFacts = new Map<string, unknown>()
  #held: ReceivedFrame[] = []
  #cursor: string | undefined

  /** `atomic`: as our client does, frames without an id wait for the next that has one. Otherwise as a plain EventSource does. */
  constructor(readonly atomic = true) {}

  get cursor(): string | undefined {
    return this.#cursor
  }

  /** Whatever was held of an unfinished page is dropped: it comes again. */
  cut(): void {
    this.#held = []
  }

  read(frames: readonly ReceivedFrame[]): this {
    for (const frame of frames) {
      if (frame.type === 'resync') throw new Error(`resync: ${frame.data.reason}`)
      if (CONTROL.has(frame.type)) {
        if (frame.id !== undefined && frame.type === 'heartbeat' && this.#held.length === 0) this.#cursor = frame.id
        continue
      }
      this.#held.push(frame)
      if (this.atomic && frame.id === undefined) continue
      for (const held of this.#held) this.#apply(held)
      this.#held = []
      this.#cursor = frame.id ?? this.#cursor
    }
    return this
  }

  /** What it shows: facts without a key in their order, everything else by name. */
  get state() {
    const byName = <Value>(map: ReadonlyMap<string, Value>) =>
      Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
    return {
      rows: byName(this.#rows),
      toLoad: [...this.#toLoad].sort(),
      facts: this.#facts,
      newestFacts: byName(this.#newestFacts),
    }
  }

  #apply({ type, data: event }: ReceivedFrame): void {
    if (type.startsWith('entity.')) {
      const ids: string[] = event.ids ?? [event.id]
      ids.forEach((id, i) => {
        this.#change(type, `${event.entity}:${id}`, event.data, event.versions?.[i] ?? event.version)
      })
    } else if (event.data.key === undefined) this.#facts.push(event.data.n)
    else this.#newestFacts.set(`${type} ${event.data.key} ${event.channel} ${event.data.to}`, event.data.n)
  }

  #change(type: string, key: string, data: Fields | undefined, version: number | undefined): void {
    if (version !== undefined) {
      if (version <= (this.#newest.get(key) ?? -1)) return
      this.#newest.set(key, version)
    } else if (type === 'entity.deleted') this.#newest.delete(key)
    if (type === 'entity.deleted') {
      this.#rows.delete(key)
      this.#toLoad.delete(key)
    } else if (typeof data !== 'object' || data === null || Array.isArray(data)) this.#toLoad.add(key)
    else if (type === 'entity.created') this.#rows.set(key, { ...data })
    else {
      const row = this.#rows.get(key)
      if (row) this.#rows.set(key, { ...row, ...data })
    }
  }
}
