import type { LogEntry } from '../seams/adapter'
import type { Chunk } from '../seams/sink'

/** What lies after a place in the log, for one reader, as far as one write carries it. */
export interface Page {
  /** The reader's place after: also past events that it may not see. */
  readonly to: number
  /** Nothing where the reader may see none of it. */
  readonly chunk: Chunk | undefined
}

/** Pages of one span that are kept for the next reader who sees the same of it. */
const KEPT_PAGES = 64
/** Audiences are searched for so many readers; for more of them an index of all their users is worth it. */
const SEARCHES = 2

/**
 * The entries after one place in the log that a view's channels cover, up to where a page ends. Its readers differ only by
 * the audiences that they are in: all who are in the same ones get the very same chunk.
 */
export class Span {
  readonly to: number
  readonly #entries: readonly LogEntry[]
  readonly #audiences: AudienceIndex | undefined
  /** Where all are for everyone. */
  #page: Page | undefined
  #pages: Map<Kind, Page> | undefined

  constructor(
    /** `undefined`: every channel. */
    channels: ReadonlySet<string> | undefined,
    /** The readers' place before. */
    readonly from: number,
    readonly conflated: boolean,
    taken: readonly LogEntry[],
    readonly encode: (entries: readonly LogEntry[], to: number) => Chunk | undefined,
  ) {
    this.to = taken.at(-1)?.offset ?? from
    this.#entries = channels ? taken.filter(({ record }) => channels.has(record.channel)) : taken
    if (this.#entries.some(({ record }) => record.users)) this.#audiences = new AudienceIndex(this.#entries)
  }

  /** The page of a reader with this user id: made by the first of its kind who asks. */
  page(userId: string | undefined): Page {
    const audiences = this.#audiences
    if (!audiences) return (this.#page ??= this.#make(this.#entries))
    const kind = audiences.kindOf(userId)
    const pages = (this.#pages ??= new Map())
    let page = pages.get(kind)
    if (!page) {
      page = this.#make(audiences.seenBy(kind))
      if (pages.size >= KEPT_PAGES) pages.clear()
      pages.set(kind, page)
    }
    return page
  }

  #make(seen: readonly LogEntry[]): Page {
    return { to: this.to, chunk: this.encode(seen, this.to) }
  }
}

/** Which of the entries that have an audience a reader sees: a bit for each, or their numbers as `,3,17,` where they are many. */
type Kind = number | string

/** Most entries that a number's bits tell apart. */
const BITS = 30

/** The audiences of entries, and who is in which. */
class AudienceIndex {
  /** By the entry's number. */
  readonly #audiences: { readonly number: number; readonly users: readonly string[] }[] = []
  readonly #nobody: Kind
  #searches = 0
  #index: Map<string, Kind> | undefined

  constructor(readonly entries: readonly LogEntry[]) {
    for (let number = 0; number < entries.length; number++) {
      const { users } = (entries[number] as LogEntry).record
      if (users) this.#audiences.push({ number, users })
    }
    this.#nobody = entries.length > BITS ? ',' : 0
  }

  /** Of a reader with this user id. Who has none is in no audience. */
  kindOf(userId: string | undefined): Kind {
    if (userId === undefined) return this.#nobody
    if (!this.#index && ++this.#searches > SEARCHES) this.#index = this.#makeIndex()
    if (this.#index) return this.#index.get(userId) ?? this.#nobody
    let kind = this.#nobody
    for (const { number, users } of this.#audiences) if (users.includes(userId)) kind = join(kind, number)
    return kind
  }

  /** The entries that readers of a kind see. */
  seenBy(kind: Kind): LogEntry[] {
    return this.entries.filter(({ record }, number) => !record.users || isIn(kind, number))
  }

  #makeIndex(): Map<string, Kind> {
    const index = new Map<string, Kind>()
    for (const { number, users } of this.#audiences) {
      for (const user of users) index.set(user, join(index.get(user) ?? this.#nobody, number))
    }
    return index
  }
}

function join(kind: Kind, number: number): Kind {
  return typeof kind === 'number' ? kind | (1 << number) : `${kind}${number},`
}

function isIn(kind: Kind, number: number): boolean {
  return typeof kind === 'number' ? (kind & (1 << number)) !== 0 : kind.includes(`,${number},`)
}
