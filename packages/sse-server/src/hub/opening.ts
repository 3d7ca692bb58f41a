import { Connection } from '../feed/connection'
import type { Feed } from '../feed/feed'
import type { Start } from '../feed/reader'
import type { Newcomer } from '../registry/registry'
import type { Addressed } from '../seams/exchange'
import type { Ports } from '../seams/ports'
import type { Admission, ConnectRequest } from './admission'
import type { Caretaker } from './caretaker'
import type { Cluster } from './cluster'
import { HubError } from './error'
import type { Feeds } from './feeds'
import { grantedChannels, lifetimeOf, readGrant } from './grant'
import { inTime } from './in-time'
import type { HubSettings } from './options'
import type { Streams } from './streams'

/** The hub whose streams are opened. */
interface Host {
  /** Whether it is closing. */
  draining(): boolean
  /** The project's feed, which is opened where it is not. */
  feed(projectId: string): Promise<Feed>
}

/** A stream that was asked for, and what its grant says of it. */
interface Asked extends Newcomer {
  readonly request: ConnectRequest
  readonly channels: readonly string[] | undefined
  /** When the grant ends, by the monotonic clock. */
  readonly ends: number
}

const NOBODY: Addressed = {}

/** How a stream that was granted is opened, or why it is not. */
export class Opening {
  constructor(
    readonly ports: Ports,
    readonly settings: HubSettings,
    readonly admission: Admission,
    readonly cluster: Cluster,
    readonly feeds: Feeds,
    readonly streams: Streams,
    readonly caretaker: Caretaker,
    readonly host: Host,
  ) {}

  /** Nothing is waited for where all is here that is needed. @throws HubError why it is refused */
  connect(request: ConnectRequest): Promise<void> | undefined {
    const { clock } = this.ports
    const grant = readGrant(request.grant)
    const channels = grantedChannels(grant, request.channels)
    const { projectId, userId } = grant
    const lifetimeMs = lifetimeOf(grant, clock)
    const now = clock.monotonic()
    const ends = now + lifetimeMs
    const asked = { projectId, userId, from: request.from ?? NOBODY, request, channels, ends }
    // Whoever is not told what others revoke must not open a stream.
    const hearing = this.cluster.ready()
    const feed = hearing ? undefined : this.feeds.opened(projectId)
    if (!feed || request.lastEventId) return this.#wait(asked, hearing)
    this.#open(asked, feed, feed.atHead, now)
    return undefined
  }

  async #wait(asked: Asked, hearing: Promise<void> | undefined): Promise<void> {
    const found = this.#find(asked, hearing)
    const { feed, start } = await inTime(this.ports.clock, found, this.#late)
    this.#open(asked, feed, start, this.ports.clock.monotonic())
  }

  readonly #late = (): HubError => this.admission.refusals.late('The event log did not answer in time')

  /** What the log has to say. */
  async #find(asked: Asked, hearing: Promise<void> | undefined): Promise<{ feed: Feed; start: () => Start }> {
    // Before anything can throw: its rejection must not be left to nobody.
    if (hearing) await hearing.catch(this.#failed)
    this.admission.check(asked)
    try {
      const feed = await this.host.feed(asked.projectId)
      return { feed, start: await feed.locate(asked.request.lastEventId) }
    } catch (error) {
      return this.#failed(error)
    }
  }

  readonly #failed = (error: unknown): never => {
    throw this.admission.refusals.ofLog(error)
  }

  /** Nothing is awaited in here: what is checked still holds when the connection is in the registry. */
  #open(asked: Asked, feed: Feed, start: () => Start, now: number): void {
    const { projectId, userId, from, request, channels, ends } = asked
    const { random, randomId } = this.ports
    if (now >= ends) throw new HubError('UNAUTHORIZED', 'The grant has expired')
    if (this.host.draining()) throw this.admission.draining()
    if (request.gone()) return
    if (this.streams.revocations.undo(asked, request.askedAt)) {
      // The grant may be older than the revocation: let the client ask again.
      throw this.admission.refusals.comeBack('UNAVAILABLE', 'Access has changed meanwhile', 1_000)
    }
    this.admission.take(asked, now)
    const { heartbeatIntervalMs, maxAgeMs, retryMs } = this.settings
    const sink = request.open()
    const connection = new Connection(
      feed,
      sink,
      {
        connectionId: `conn_${randomId()}`,
        userId,
        channels,
        from: request.from?.isIpOfPeer ? sink : { ip: from.ip },
        openedAt: now,
        expiresAt: ends,
        rotateAt: now + maxAgeMs * (0.8 + 0.4 * random()),
        reauthorize: request.reauthorize,
      },
      this.streams,
      start(),
    )
    this.streams.registry.add(connection)
    this.streams.tally.opened++
    this.cluster.entered(projectId, userId)
    this.caretaker.take(connection, now)
    connection.open(heartbeatIntervalMs, retryMs)
  }
}
