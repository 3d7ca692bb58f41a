import {
  assertProjectId,
  type EventDefinitions,
  type EventForPattern,
  type EventForType,
  type EventInput,
  type EventOf,
  formatCursor,
  type PatternOf,
  type ProjectEvent,
  type TypePatternOf,
} from '@entitycast/sse-protocol'
import type { Connection, ConnectionFilter } from '../feed/connection'
import type { Feed } from '../feed/feed'
import { Rounds } from '../feed/rounds'
import type { ClusterStats } from '../peers/cluster-stats'
import type { PresentUser } from '../presence/present-user'
import { type ConnectionInfo, connectionInfo } from '../registry/registry'
import type { Adapter, AdapterStatus } from '../seams/adapter'
import type { Addressed } from '../seams/exchange'
import type { Ports } from '../seams/ports'
import { systemClock, systemRandom, systemRandomId } from '../seams/system'
import { Admission, type ConnectRequest } from './admission'
import { Caretaker } from './caretaker'
import { Cluster } from './cluster'
import { assertDrainMs, atMost, endInWaves } from './drain'
import { describe, HubError } from './error'
import { Feeds } from './feeds'
import { Heartbeats } from './heartbeat'
import { type ListenFilter, type ListenOptions, listen } from './listen'
import { Opening } from './opening'
import { type EventHubOptions, type HubSettings, readOptions } from './options'
import { Pace } from './pace'
import { type ProjectPublisher, projectPublisher } from './project'
import { Publisher, type PublishOptions } from './publisher'
import type { Waiting } from './questions'
import { Streams } from './streams'
import { type HubStats, readStats, Tally } from './tally'

/** What is left at the end of the drain gets this long to take its last bytes, in milliseconds. */
const CUT_AFTER_MS = 1_000

/**
 * Publishes the events of projects to the connections that may see them. One idea throughout: a project is a log, a connection is
 * a cursor into it. `EventHub` is this with the in-memory log as default.
 */
export abstract class Hub<Definitions extends EventDefinitions = EventDefinitions> {
  readonly #settings: HubSettings
  readonly #adapter: Adapter
  readonly #ports: Ports
  readonly #publisher: Publisher
  readonly #pace: Pace
  readonly #caretaker: Caretaker
  readonly #admission: Admission
  readonly #streams: Streams
  readonly #feeds: Feeds
  readonly #heartbeats: Heartbeats
  readonly #cluster: Cluster
  readonly #opening: Opening
  readonly #tally = new Tally()
  readonly #madeAt: number
  #closing: Promise<void> | undefined
  #closed = false
  /** Never there. For types: what a function of the other half, ESM or CommonJS, learns the definitions from. */
  declare readonly '~definitions'?: Definitions

  /** @throws HubError `INVALID_OPTION` */
  protected constructor(adapter: Adapter, options: EventHubOptions<Definitions>) {
    this.#settings = readOptions(options as EventHubOptions)
    this.#adapter = adapter
    const { clock = systemClock, random = systemRandom, randomId = systemRandomId } = options.ports ?? {}
    this.#ports = { clock, random, randomId }
    const { heartbeatIntervalMs, instanceTtlMs, limits, logger, retryMs, stallTimeoutMs } = this.#settings
    this.#madeAt = clock.monotonic()
    adapter.start(this.#settings.retention)
    const over = ({ feed, userId }: Connection) => this.#cluster.left(feed.projectId, userId)
    this.#streams = new Streams(this.#ports, retryMs, this.#tally, logger, over, limits)
    this.#publisher = new Publisher(adapter, this.#settings, options.events, clock)
    const rounds = new Rounds(clock)
    this.#pace = new Pace(rounds)
    this.#feeds = new Feeds(adapter, this.#settings.retention, clock, rounds, {
      opened: () => this.#caretaker.wake(),
      failed: (error) => logger.error('a log could not be let go', { error: describe(error) }),
    })
    this.#heartbeats = new Heartbeats(this.#settings.heartbeat, () => clock.now())
    this.#admission = new Admission(this.#settings, this.#streams.registry, this.#ports)
    const charges = {
      watched: this.#streams.watched,
      leaving: this.#streams.leaving,
      beat: (connection: Connection) => connection.beat(heartbeatIntervalMs === 0 ? undefined : this.#heartbeats),
      tidy: (now: number) => this.#tidy(now),
    }
    const longestRoundMs = Math.min(1_000, instanceTtlMs / 6)
    this.#caretaker = new Caretaker(clock, heartbeatIntervalMs, stallTimeoutMs, charges, longestRoundMs)
    this.#cluster = new Cluster(adapter, this.#ports, this.#settings, this.#streams, {
      stats: () => this.stats(),
      head: async (projectId) => (await this.#feed(projectId)).position,
      published: (count) => {
        this.#tally.published += count
      },
      wake: () => this.#caretaker.wake(),
    })
    this.#opening = new Opening(
      this.#ports,
      this.#settings,
      this.#admission,
      this.#cluster,
      this.#feeds,
      this.#streams,
      this.#caretaker,
      { draining: () => this.draining, feed: (projectId) => this.#feed(projectId) },
    )
    this.#cluster.begin()
  }

  /**
   * Adds an event to its project's log, and so to every page that may see it. Resolves with the event's cursor when the log has
   * accepted it, and rejects otherwise: nothing is dropped in silence. The event is taken as it is at the time of the call.
   *
   * @throws ProtocolError whatever is wrong with the event: `INVALID_TYPE`, `INVALID_PROJECT_ID`, `INVALID_DATA`, `EVENT_TOO_LARGE` …
   * @throws HubError `CLOSED` after `close()`, `UNAVAILABLE`, `UNSUPPORTED`
   * @example
   * await hub.publish({ type: 'entity.updated', entity: 'document', id: 'doc_456', projectId: 'proj_123', data: { embeddedChunks: 5 } })
   */
  async publish(event: EventInput<EventOf<Definitions>>, options: PublishOptions = {}): Promise<string> {
    try {
      if (this.#closed) throw new HubError('CLOSED', 'The hub is closed; publish before hub.close()')
      const record = this.#publisher.encode(event as EventInput, options)
      const { epoch, offset } = await this.#publisher.append(event.projectId, record, options.client)
      this.#tally.published++
      if (this.#streams.registry.size > 0) await this.#pace.take(record.data.length)
      return formatCursor(epoch, offset)
    } catch (error) {
      this.#tally.publishFailures++
      throw error
    }
  }

  /**
   * The same, short, for one project.
   *
   * @throws ProtocolError `INVALID_PROJECT_ID`
   * @example
   * await hub.project('proj_123').updated('document', 'doc_456', { embeddedChunks: 5 }, { version: 7 })
   */
  project(projectId: string): ProjectPublisher<Definitions> {
    assertProjectId(projectId)
    return projectPublisher<Definitions>(projectId, (event, options) =>
      this.publish(event as EventInput<EventOf<Definitions>>, options),
    )
  }

  /**
   * Calls `handler` for a project's events from now on, inside the server, whatever channel or audience they have. Events that were
   * published before the listener was in place may be missed. A handler that throws is reported to the logger, and goes on.
   *
   * @returns a function that stops it
   * @throws ProtocolError `INVALID_PROJECT_ID`, `INVALID_PATTERN`
   * @throws HubError `CLOSED` after `close()`, `INVALID_FILTER`, `INVALID_OPTION`
   * @example
   * const stop = hub.listen({ projectId: 'proj_123', type: 'lock:*' }, (event) => console.log(event.type, event.data))
   */
  listen<Type extends TypePatternOf<Definitions> = '*'>(
    filter: { projectId: string; type?: Type; pattern?: undefined },
    handler: (event: EventForType<Definitions, Type>) => unknown,
    options?: ListenOptions,
  ): () => void
  listen<Pattern extends PatternOf<Definitions>>(
    filter: { projectId: string; pattern: Pattern; type?: undefined },
    handler: (event: EventForPattern<Definitions, Pattern>) => unknown,
    options?: ListenOptions,
  ): () => void
  listen(filter: ListenFilter, handler: (event: never) => unknown, options: ListenOptions = {}): () => void {
    const { projectId } = filter ?? {}
    assertProjectId(projectId)
    if (this.#closed) throw new HubError('CLOSED', 'The hub is closed; listen before hub.close()')
    return listen(filter, handler as (event: ProjectEvent) => unknown, options, {
      open: (id) => this.#feed(id),
      failed: (error) => this.#settings.logger.error('a listener failed', { projectId, error: describe(error) }),
      ended: () => this.draining,
      clock: this.#ports.clock,
    })
  }

  /**
   * The place where a project's log ends now. Take it *before* you read the database, and hand it to the page as `since`: what changes
   * between the read and the first connection is then replayed, and there is no hole between loading and listening.
   *
   * @throws ProtocolError `INVALID_PROJECT_ID`
   */
  async cursor(projectId: string): Promise<string> {
    assertProjectId(projectId)
    return (await this.#feed(projectId)).cursor
  }

  /** The open streams of this instance, or those that fit the filter. @throws HubError `INVALID_FILTER` */
  connections(filter: ConnectionFilter = {}): ConnectionInfo[] {
    const now = this.#ports.clock.monotonic()
    return this.#streams.matching(filter).map((connection) => connectionInfo(connection, now))
  }

  /** The users with at least one open stream of this instance in the project. `presence` is the answer of all instances. */
  activeUsers(projectId: string): string[] {
    assertProjectId(projectId)
    const users = new Set<string>()
    for (const { userId } of this.#streams.registry.matching({ projectId })) if (userId !== undefined) users.add(userId)
    return [...users]
  }

  /**
   * The users who are present in a project, whatever instance they are connected to; first who is there for longest. Whoever has
   * closed the last tab is present until the grace time is over. Needs the option `presence`.
   *
   * @throws ProtocolError `INVALID_PROJECT_ID`
   * @throws HubError `INVALID_OPTION` without the option, `UNAVAILABLE` where the log cannot be reached
   * @example
   * const users = await hub.presence('proj_123') // [{ userId: 'u1', since: '2026-01-31T09:30:00.000Z' }]
   */
  async presence(projectId: string): Promise<PresentUser[]> {
    assertProjectId(projectId)
    return this.#cluster.users(projectId)
  }

  /**
   * Ends streams on all instances, and what is just being opened; their clients come back by themselves, through `authorize`, and resume where
   * they were. So it is for a sign-out too: end the session first. Those of this instance have ended when the call returns. Resolves when
   * every other instance will see it, and rejects where that cannot be said.
   *
   * @returns how many of this instance
   * @throws HubError `INVALID_FILTER` where nothing is named: it never means everyone; `UNAVAILABLE`
   */
  async disconnect(filter: ConnectionFilter): Promise<number> {
    return this.#cluster.end(filter, 'rotated', this.#streams.disconnect(filter))
  }

  /**
   * Ends streams on all instances for good: nothing more is written to them, also not what was queued, and our client does not come back
   * by itself. Those of this instance have ended when the call returns. Resolves when every other instance will see it; where it rejects,
   * call it again. Take the user's rights away first: `authorize` is what keeps a new stream from being opened.
   *
   * @returns how many of this instance
   * @throws HubError `INVALID_FILTER`, `UNAVAILABLE`
   */
  async revoke(filter: ConnectionFilter): Promise<number> {
    return this.#cluster.end(filter, 'revoked', this.#streams.revoke(filter))
  }

  /**
   * For a readiness check: `draining` from `close()` on, `degraded` while the adapter's broker cannot be reached, else `ok`.
   *
   * @example
   * app.get('/ready', (_req, res) => res.status(hub.status() === 'ok' ? 200 : 503).end())
   */
  status(): AdapterStatus | 'draining' {
    return this.draining ? 'draining' : (this.#adapter.status?.() ?? 'ok')
  }

  /** What this instance has done and holds. */
  stats(): HubStats {
    return readStats(this.#tally, this.#streams.registry, this.#feeds, {
      adapter: this.#adapter.manifest.name,
      degraded: this.#adapter.status?.() === 'degraded',
      accepting: !this.#closing,
      uptimeMs: Math.round(this.#ports.clock.monotonic() - this.#madeAt),
    })
  }

  /**
   * Asks all instances for their `stats()`. Resolves as soon as those that are known have answered, at the latest after `timeoutMs`.
   *
   * @param options?.timeoutMs 1 to 60,000; default 1,000
   * @throws HubError `INVALID_OPTION`; `UNAVAILABLE` where the log cannot be reached
   */
  clusterStats(options: { timeoutMs?: number } = {}): Promise<ClusterStats> {
    return this.#cluster.stats(options?.timeoutMs ?? 1_000)
  }

  /**
   * Ends the hub. New streams are refused at once; the open ones are told, one after the other over `drainMs` milliseconds, so that their
   * clients do not all come back in the same moment; whoever has not gone a second later is cut off. Publishing works until then.
   * Never hangs; may be called twice.
   *
   * @param options.drainMs default 0: all at once, and the clients spread their reconnects themselves
   */
  close(options: { drainMs?: number } = {}): Promise<void> {
    const { drainMs = 0 } = options ?? {}
    try {
      assertDrainMs(drainMs)
    } catch (error) {
      return Promise.reject(error)
    }
    // Not at once: what a listener is told as it begins may call this in turn.
    return (this.#closing ??= Promise.resolve().then(() => this.#drain(drainMs)))
  }

  /**
   * Opens a stream that was granted: at once, where nothing has to be waited for. For mounts; applications use `eventStream` or `openStream` of theirs.
   *
   * @throws HubError why it is refused
   */
  connect(request: ConnectRequest): Promise<void> | undefined {
    return this.#opening.connect(request)
  }

  /**
   * Asks the application, in the name of that address. Throws or rejects with `UNAVAILABLE`, also when an answer takes longer than 10 s. With
   * `waiting` the promise is the application's own, and whoever waits is told. For mounts.
   */
  ask<Answer>(
    from: Addressed,
    question: () => Answer | Promise<Answer>,
    waiting?: Waiting<Answer>,
  ): Answer | Promise<Answer> {
    return this.#admission.ask(this.draining, from, question, waiting)
  }

  /** Resolves when what other instances revoke is heard here; nothing where it is already. Refuses as `ask` does. For mounts. */
  ready(from: Addressed): Promise<void> | undefined {
    return this.#admission.hear(this.draining, from, this.#cluster)
  }

  /** Counts a refusal. The result is what the client is told of what was thrown. For mounts. */
  refused(thrown: unknown): HubError {
    const error = this.#admission.refusals.ofRequest(thrown)
    this.#streams.refused(error)
    return error
  }

  /** Whether new streams are refused because the hub is closing. For mounts. */
  get draining(): boolean {
    return this.#closing !== undefined
  }

  /** Milliseconds between heartbeats; 0 for none. For mounts. */
  get heartbeatIntervalMs(): number {
    return this.#settings.heartbeatIntervalMs
  }

  get clock(): Ports['clock'] {
    return this.#ports.clock
  }

  /** A later number each time: `ConnectRequest.askedAt`. For mounts. */
  get moment(): number {
    return this.#streams.revocations.moment
  }

  async #feed(projectId: string): Promise<Feed> {
    if (this.#closed) throw new HubError('CLOSED', 'The hub is closed')
    return this.#feeds.get(projectId)
  }

  #tidy(now: number): boolean {
    this.#heartbeats.clear()
    this.#feeds.tidy(now)
    return this.#cluster.tick(now) || this.#streams.size + this.#feeds.size > 0
  }

  async #drain(drainMs: number): Promise<void> {
    const { clock } = this.#ports
    await atMost(clock, CUT_AFTER_MS, this.#publisher.flush())
    const everyoneLeft = this.#streams.everyoneLeft()
    await endInWaves([...this.#streams.registry], this.#ports, {
      drainMs,
      retryMs: this.#settings.retryMs,
      everyoneLeft,
    })
    await atMost(clock, CUT_AFTER_MS, everyoneLeft)
    await atMost(clock, CUT_AFTER_MS, this.#publisher.end())
    this.#closed = true
    this.#streams.destroy()
    this.#caretaker.stop()
    // In this turn: one that opens later would start the timer again.
    this.#feeds.close()
    for (const part of [this.#cluster, this.#adapter]) {
      try {
        await atMost(clock, CUT_AFTER_MS, part.close())
      } catch (error) {
        this.#settings.logger.error('the adapter could not be closed', { error: describe(error) })
      }
    }
  }
}
