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
/** An audience of more users than this is looked up instead of searched. */
const SEARCHED_USERS = 16

/** The users that an event is for. */
type Audience = Pick<ReadonlySet<string>, 'has'>

/**
 * The entries after one place in the log that a view's channels cover, up to where a page ends. Its readers differ only by
 * the audiences that they are in: all who are in the same ones get the very same chunk.
 */
export class Span {
  readonly to: number
  readonly #entries: readonly LogEntry[]
  /** By the entry's index; nothing where all have an audience of everyone. */
  readonly #audiences: (Audience | undefined)[] | undefined
  readonly #pages = new Map<string, Page>()

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
    if (this.#entries.some(({ record }) => record.users)) this.#audiences = this.#entries.map(audienceOf)
  }

  /** The page of a reader with this user id: made by the first of its kind who asks. */
  page(userId: string | undefined): Page {
    const kind = this.#audiences ? kindOf(this.#audiences, userId) : ''
    let page = this.#pages.get(kind)
    if (!page) {
      const seen = this.#audiences ? this.#entries.filter((_, i) => kind[i] === '1') : this.#entries
      page = { to: this.to, chunk: this.encode(seen, this.to) }
      if (this.#pages.size >= KEPT_PAGES) this.#pages.clear()
      this.#pages.set(kind, page)
    }
    return page
  }
}

function audienceOf({ record: { users } }: LogEntry): Audience | undefined {
  if (!users || users.length > SEARCHED_USERS) return users && new Set(users)
  return { has: (user) => users.includes(user) }
}

/** Which of the entries a user sees, as a text of `0` and `1`. Who has no user id is in no audience. */
function kindOf(audiences: readonly (Audience | undefined)[], userId: string | undefined): string {
  let kind = ''
  for (const audience of audiences) kind += !audience || (userId !== undefined && audience.has(userId)) ? '1' : '0'
  return kind
}
