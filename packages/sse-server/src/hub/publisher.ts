import {
  type Cursor,
  checkDefinedData,
  DEFAULT_CHANNEL,
  type EventDefinitions,
  type EventInput,
  encodeEvent,
  isEntityType,
  ProtocolError,
  quote,
} from '@entitycast/sse-protocol'
import { conflate } from '../feed/conflate'
import type { Adapter, LogRecord } from '../seams/adapter'
import type { Clock } from '../seams/ports'
import { Audiences } from './audience'
import { HubError } from './error'
import type { HubSettings } from './options'

/** Who may see an event, whether it may stand for earlier ones, and which transaction it is part of. */
export interface PublishOptions {
  /** Only these users of the project get it, 1 to 10,000. Default: everyone whose grant covers the channel. */
  audience?: { users: readonly string[] } | undefined
  /**
   * For named events, up to 256 characters: readers who are behind get only the newest of this type and key. Default: every one, since a fact is never merged.
   * Entity events are always merged by entity and id.
   */
  conflateKey?: string | undefined
  /**
   * The database client on which the caller has begun a transaction, with an adapter that has them (`@entitycast/sse-server/postgres`): the
   * event is published if and only if that commits. The cursor is then that of a place *before* the event, since its own is not known yet.
   * With another adapter `publish` rejects with `UNSUPPORTED`.
   */
  client?: object | undefined
}

interface Waiting {
  readonly records: LogRecord[]
  readonly cursor: Promise<Cursor>
  readonly flush: () => void
}

const MAX_KEY_LENGTH = 256
const PUBLISH_OPTIONS = ['audience', 'conflateKey', 'client']
/** Records that one window holds at most, whatever the clock says. */
const WINDOW_RECORDS = 1_000

/** From a publisher's object to a record in the log. */
export class Publisher {
  readonly #windows = new Map<string, Waiting>()
  readonly #audiences = new Audiences()
  /** Nothing waits for a window any more. */
  #isEnding = false
  #timestamp = ''
  #timestampAt = Number.NaN

  constructor(
    readonly adapter: Adapter,
    readonly settings: HubSettings,
    readonly definitions: EventDefinitions | undefined,
    readonly clock: Clock,
  ) {}

  /**
   * What the log is to hold of an event, fixed at this moment.
   *
   * @throws ProtocolError
   */
  encode(event: EventInput, options: PublishOptions): LogRecord {
    assertPublishOptions(event, options)
    const checked = this.definitions && event ? { ...event, data: checkDefinedData(this.definitions, event) } : event
    const { type, data } = encodeEvent(checked as EventInput, this.#now)
    const { maxEventBytes } = this.settings
    // A character takes at most three bytes: most events need no count.
    if (data.length * 3 > maxEventBytes && Buffer.byteLength(data) > maxEventBytes) {
      throw new ProtocolError(
        'EVENT_TOO_LARGE',
        `the event takes ${Buffer.byteLength(data)} bytes; at most ${maxEventBytes} are allowed (maxEventBytes). Publish what changed, and let pages load the rest`,
      )
    }
    return {
      type,
      data,
      channel: event.channel ?? DEFAULT_CHANNEL,
      users: this.#audiences.read(options.audience),
      key: readKey(event, options.conflateKey),
    }
  }

  /** Resolves with the record's place once the log has accepted it, or what it was merged into. */
  append(projectId: string, record: LogRecord, client?: object): Promise<Cursor> {
    const { conflateWindowMs } = this.settings
    // What may yet be rolled back is not merged with what may not.
    if (client !== undefined) return this.#appendIn(client, projectId, record)
    if (conflateWindowMs === 0 || this.#isEnding) return this.adapter.append(projectId, [record])
    const waiting = this.#windows.get(projectId) ?? this.#openWindow(projectId, conflateWindowMs)
    waiting.records.push(record)
    // A fact is not made to wait, and goes after what was published before it.
    if (record.key === undefined || waiting.records.length >= WINDOW_RECORDS) waiting.flush()
    return waiting.cursor
  }

  /** Ends every window at once. Resolves when all that was published is in the log, or was refused. */
  async flush(): Promise<void> {
    const open = [...this.#windows.values()]
    for (const { flush } of open) flush()
    await Promise.allSettled(open.map(({ cursor }) => cursor))
  }

  /** The same for good: what is published from now on would wait for a window that nobody ends. */
  end(): Promise<void> {
    this.#isEnding = true
    return this.flush()
  }

  async #appendIn(client: object, projectId: string, record: LogRecord): Promise<Cursor> {
    const { appendIn, manifest } = this.adapter
    if (!appendIn) {
      throw new HubError(
        'UNSUPPORTED',
        `The ${manifest.name} adapter cannot publish inside of a transaction; leave client out, or use the adapter of @entitycast/sse-server/postgres`,
      )
    }
    return appendIn.call(this.adapter, client, projectId, [record])
  }

  #openWindow(projectId: string, conflateWindowMs: number): Waiting {
    const records: LogRecord[] = []
    let settle: (cursor: Promise<Cursor>) => void
    const cursor = new Promise<Cursor>((resolve) => {
      settle = resolve
    })
    const flush = () => {
      cancel()
      this.#windows.delete(projectId)
      const entries = records.map((record, i) => ({ offset: i + 1, record }))
      const left = conflate(entries, this.settings.maxEventBytes)
      const accepted = async () =>
        this.adapter.append(
          projectId,
          left.map(({ record }) => record),
        )
      settle(accepted())
    }
    const cancel = this.clock.after(conflateWindowMs, flush)
    const waiting = { records, cursor, flush }
    this.#windows.set(projectId, waiting)
    return waiting
  }

  readonly #now = (): string => {
    const now = this.clock.now()
    if (now !== this.#timestampAt) {
      this.#timestampAt = now
      this.#timestamp = new Date(now).toISOString()
    }
    return this.#timestamp
  }
}

/** A misspelt `audience` would show everyone what is for one. */
function assertPublishOptions(event: EventInput, options: PublishOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new ProtocolError('INVALID_EVENT', `options is ${quote(options)}; it must be an object, or be left out`)
  }
  if ((event as { audience?: unknown } | null)?.audience !== undefined) {
    throw new ProtocolError(
      'INVALID_EVENT',
      'audience is no field of an event; give it as publish(event, { audience })',
    )
  }
  for (const name in options) {
    if (!PUBLISH_OPTIONS.includes(name))
      throw new ProtocolError(
        'INVALID_EVENT',
        `${name} is not an option; there are ${PUBLISH_OPTIONS.join(', ')}, and of a project's events userId, channel, timestamp, version, versions`,
      )
  }
}

/** Ids hold no line break, so an entity's key is never a named type's. */
function readKey(event: EventInput, conflateKey: string | undefined): string | undefined {
  if (isEntityType(event.type)) return event.type === 'entity.batch' ? undefined : `${event.entity}:${event.id}`
  if (conflateKey === undefined) return undefined
  if (typeof conflateKey !== 'string' || conflateKey.length > MAX_KEY_LENGTH) {
    throw new ProtocolError(
      'INVALID_EVENT',
      `conflateKey is ${quote(conflateKey)}; it must be text of at most ${MAX_KEY_LENGTH} characters`,
    )
  }
  return `${event.type}\n${conflateKey}`
}
