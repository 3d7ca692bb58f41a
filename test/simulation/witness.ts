import { type Cursor, type ProjectEvent, parseCursor } from '@entitycast/sse-protocol'
import type { Mark, Meant, Scope, Source } from './source'

/**
 * Looks over one page's shoulder. Whatever the subscriber's cursor claims to be seen must have been seen, and what handlers are given
 * comes in the log's order, once, and only what the page may see.
 */
export class Witness {
  /** Up to where each thing was seen, by an event or in loaded data. */
  readonly #seen = new Map<string, number>()
  /** Up to where handlers were given it. */
  readonly #given = new Map<string, number>()
  readonly #facts = new Set<number>()
  /** What was given since the cursor moved. */
  #sinceMoved: Mark[] = []
  #cursorThen: string | undefined
  /** What may come again: a handler has ended the stream in the middle of a page, and gets what is in it again, perhaps divided otherwise. */
  readonly #againFacts = new Set<number>()
  readonly #againUpTo = new Map<string, number>()
  /** Where the log holds what was given last. */
  #place: Cursor | undefined
  /** Up to where the log was compared with what was seen. */
  #verified: Cursor | undefined
  #checked: string | undefined

  constructor(
    readonly source: Source,
    readonly userId: string,
    readonly channels: readonly string[] | undefined,
    readonly fail: (message: string) => void,
  ) {}

  covers({ channel, users }: Scope): boolean {
    return (!this.channels || this.channels.includes(channel)) && (!users || users.includes(this.userId))
  }

  /** The page listens from this cursor on. */
  begin(since: string): void {
    this.#verified = parseCursor(since) ?? undefined
  }

  /** Loaded data has counted up to there. */
  loaded(counts: ReadonlyMap<string, number>): void {
    for (const [name, count] of counts) if (name !== 'fact') this.#see({ name, count })
  }

  /** The page was told to load again: nothing is claimed until it has. */
  resync(): void {
    this.#verified = undefined
    this.#place = undefined
  }

  /** A handler is given an event. */
  given(event: ProjectEvent, cursor: string | undefined): void {
    if (cursor !== this.#cursorThen) this.#sinceMoved = []
    this.#cursorThen = cursor
    this.#expectOwn(event)
    for (const mark of marksOf(event)) {
      this.#expectNew(mark)
      this.#see(mark)
      this.#sinceMoved.push(mark)
    }
  }

  /** The page's handler has ended the stream. */
  endedByHandler(): void {
    for (const { name, count } of this.#sinceMoved) {
      if (name === 'fact') this.#againFacts.add(count)
      else this.#againUpTo.set(name, count)
    }
    this.#place = undefined
  }

  /** After each step: everything up to the cursor that this page may see was seen. */
  check(text: string): void {
    if (this.#verified && text === this.#checked) return
    this.#checked = text
    const cursor = parseCursor(text)
    if (!cursor) return
    const before = this.#verified
    this.#verified = cursor
    if (!before) return
    const { epoch, offset } = before
    if (cursor.epoch !== epoch) {
      this.fail(`the cursor went from ${epoch}.${offset} to ${cursor.epoch}.${cursor.offset} without a resync`)
      return
    }
    if (cursor.offset < offset) this.fail(`the cursor went back from ${offset} to ${cursor.offset}`)
    const log = this.source.log.get(epoch)
    for (let at = offset + 1; at <= cursor.offset; at++)
      for (const meant of log?.get(at) ?? []) this.#expectSeen(meant, at)
  }

  /** Whether nothing lies after the cursor that this page may see and has not seen. */
  atEnd({ epoch, offset }: Cursor): boolean {
    const { head, log } = this.source
    if (epoch !== head?.epoch) return false
    for (let at = offset + 1; at <= head.offset; at++)
      if (
        log
          .get(epoch)
          ?.get(at)
          ?.some((meant) => this.#missing(meant))
      )
        return false
    return true
  }

  #see({ name, count }: Mark): void {
    if (name === 'fact') this.#facts.add(count)
    else if (count > (this.#seen.get(name) ?? 0)) this.#seen.set(name, count)
  }

  #expectOwn(event: ProjectEvent): void {
    const { projectId } = this.source
    const data = event.data as { project?: string; users?: string[] } | undefined
    if (event.projectId !== projectId || (data?.project !== projectId && event.type !== 'entity.deleted'))
      this.fail(`an event of another project: ${JSON.stringify(event).slice(0, 200)}`)
    if (this.channels && !this.channels.includes(event.channel ?? 'default'))
      this.fail(`an event of the channel ${event.channel}`)
    if (data?.users && !data.users.includes(this.userId))
      this.fail(`an event for ${data.users}, and this is ${this.userId}`)
  }

  /** In order, and not a second time. */
  #expectNew(mark: Mark): void {
    const { name, count } = mark
    const before = this.#given.get(name) ?? 0
    const known = `${name} ${count}`
    if (count > before) this.#given.set(name, count)
    if (this.source.doubled.has(known) || this.#mayComeAgain(mark)) return
    if (count <= before) this.fail(`was given ${known} after ${before}`)
    const place = this.source.placeOf(mark)
    if (!place) return
    if (this.#place?.epoch === place.epoch && place.offset < this.#place.offset)
      this.fail(`was given ${known}, which is at offset ${place.offset}, after offset ${this.#place.offset}`)
    this.#place = place
  }

  #mayComeAgain({ name, count }: Mark): boolean {
    return name === 'fact' ? this.#againFacts.has(count) : count <= (this.#againUpTo.get(name) ?? 0)
  }

  #expectSeen(meant: Meant, offset: number): void {
    const missing = this.#missing(meant)
    if (!missing) return
    const { name, count } = missing
    const last = (name === 'fact' ? this.#given : this.#seen).get(name)
    this.fail(`the cursor is past offset ${offset}, but ${name} ${count} was not seen (the last was ${last})`)
  }

  /** What of it this page may see and has not seen. */
  #missing(meant: Meant): Mark | undefined {
    if (!this.covers(meant)) return undefined
    return meant.marks.find(({ name, count }) =>
      name === 'fact' ? !this.#facts.has(count) : (this.#seen.get(name) ?? 0) < count,
    )
  }
}

/** What an event has counted. */
function marksOf(event: ProjectEvent): Mark[] {
  if (event.entity === undefined) {
    const { fact, key, value } = event.data as { fact?: number; key?: string; value?: number }
    return [fact === undefined ? { name: `gauge ${key}`, count: value as number } : { name: 'fact', count: fact }]
  }
  const { entity } = event
  const ids = event.type === 'entity.batch' ? event.ids : [event.id]
  return ids.map((id, i) => {
    const version = event.type === 'entity.batch' ? event.versions?.[i] : event.version
    return { name: `${entity} ${id}`, count: entity === 'note' ? Number(event.userId) : (version as number) }
  })
}
