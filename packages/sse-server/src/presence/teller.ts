import { type Cursor, encodeEvent } from '@entitycast/sse-protocol'
import type { Adapter, LogRecord } from '../seams/adapter'
import type { Telling } from './message'

const READ_LIMIT = 1_000

/** Publishes `user:joined` and `user:left` of a project, also what another instance has begun to. */
export class Teller {
  /** What was begun here: perhaps it is in the log, although no answer said so. */
  readonly #begun = new WeakSet<Telling>()

  constructor(
    readonly adapter: Adapter,
    readonly projectId: string,
    readonly channel: string,
  ) {}

  /**
   * Publishes what is to be told. With `isFresh` nobody has begun to; otherwise what is in the log already is left out. What cannot be found
   * out, because the log does not reach back, is published: it may then be there twice, and is never missing.
   *
   * @returns how many events
   */
  async publish(telling: Telling, isFresh: boolean): Promise<number> {
    let records = this.#records(telling)
    if (!isFresh || this.#begun.has(telling)) {
      const there = await this.#after(telling)
      records = records.filter(({ type, data }) => !there.has(`${type}\n${data}`))
    }
    this.#begun.add(telling)
    if (records.length > 0) await this.adapter.append(this.projectId, records)
    return records.length
  }

  #records({ at, joined, left }: Telling): LogRecord[] {
    return [
      ...joined.map(([userId, since]) => this.#record('user:joined', userId, since)),
      ...left.map((userId) => this.#record('user:left', userId, at)),
    ]
  }

  #record(type: 'user:joined' | 'user:left', userId: string, timestamp: string): LogRecord {
    const { projectId, channel } = this
    const event = { type, projectId, channel, timestamp, userId, data: { userId } }
    return { ...encodeEvent(event, () => timestamp), channel }
  }

  /** What the project's log holds since it was about to be told. */
  async #after({ epoch, offset }: Cursor): Promise<Set<string>> {
    const there = new Set<string>()
    for (let after = { epoch, offset }; ; ) {
      const page = await this.adapter.read(this.projectId, after, READ_LIMIT)
      if ('gap' in page || page.entries.length === 0) return there
      for (const { record } of page.entries) there.add(`${record.type}\n${record.data}`)
      after = { epoch, offset: after.offset + page.entries.length }
    }
  }
}
