import type { ClosingReason, ResyncReason } from '@entitycast/sse-protocol'
import type { Connection, ConnectionFilter, ConnectionObserver } from '../feed/connection'
import { type LimitName, Registry } from '../registry/registry'
import type { Logger, Ports } from '../seams/ports'
import { describe, type HubError, isHubErrorCode } from './error'
import { assertFields, assertFilter } from './filter'
import { isExpected } from './refusals'
import { Revocations } from './revocations'
import { count, type Tally } from './tally'

/** Where all streams must be opened anew at once, no more come back in a second than this. */
const RETURNS_A_SECOND = 2_000

/** The streams of this process: those that are open, those on their way out, and who may not open one any more. */
export class Streams implements ConnectionObserver {
  readonly registry: Registry
  /** Connections that have ended, and whose sockets have not. */
  readonly leaving = new Set<Connection>()
  /** Open ones that need a look before their next heartbeat. */
  readonly watched = new Set<Connection>()
  readonly revocations = new Revocations()
  #allLeft: (() => void) | undefined

  constructor(
    readonly ports: Ports,
    readonly retryMs: number,
    readonly tally: Tally,
    readonly logger: Logger,
    /** A stream does not count any more: its end has begun. */
    readonly over: (connection: Connection) => void,
    limits: Readonly<Record<LimitName, number>>,
  ) {
    this.registry = new Registry(limits)
  }

  /** Open ones, and those on their way out. */
  get size(): number {
    return this.registry.size + this.leaving.size
  }

  /** The open ones that the filter means; all without one. @throws HubError `INVALID_FILTER` */
  matching(filter: ConnectionFilter): Connection[] {
    assertFields(filter)
    return [...this.registry.matching(filter)]
  }

  /** Ends streams whose clients may come back, and what may become one. @throws HubError `INVALID_FILTER` */
  disconnect(filter: ConnectionFilter): number {
    return this.#end(filter, 'rotated')
  }

  /** The same for good, with what was queued. @throws HubError `INVALID_FILTER` */
  revoke(filter: ConnectionFilter): number {
    const leaving = [...this.leaving]
    const ended = this.#end(filter, 'revoked')
    // A stream whose end had begun for another reason may still hold bytes that its socket has not taken.
    for (const connection of leaving) if (connection.matches(filter)) connection.destroy()
    return ended
  }

  /**
   * Ends every stream at once, with what was queued for it, so that each comes back through `authorize`: somebody was revoked, and nobody
   * can say who. The clients are told to come back spread over a time that grows with their number.
   */
  renew(): number {
    const { clock, random } = this.ports
    const open = [...this.registry]
    const spreadMs = (open.length / RETURNS_A_SECOND) * 1_000
    for (const connection of this.leaving) connection.destroy()
    for (const connection of open) {
      if (connection.sink.unsentBytes > 0) connection.destroy()
      else connection.close('rotated', Math.round(this.retryMs * (0.5 + random()) + spreadMs * random()))
    }
    this.revocations.add({}, clock.monotonic())
    return open.length
  }

  /** Cuts off whoever is left. */
  destroy(): void {
    for (const connection of [...this.registry, ...this.leaving]) connection.destroy()
  }

  /** Resolves when there is none. */
  everyoneLeft(): Promise<void> {
    return new Promise((resolve) => {
      this.#allLeft = resolve
      if (this.size === 0) resolve()
    })
  }

  /** A request for a stream was refused. */
  refused(error: HubError): void {
    const { code, status, cause } = error
    // Whoever makes metrics of it has a label for each name.
    count(this.tally.refused, isHubErrorCode(code) ? code : 'OTHER')
    if (status < 500 || (isExpected(code) && cause === undefined)) return
    this.logger.error('a stream could not be opened', { code, cause: describe(cause ?? error) })
  }

  ended(connection: Connection, reason: ClosingReason | 'peer'): void {
    this.registry.remove(connection)
    this.watched.delete(connection)
    this.leaving.add(connection)
    count(this.tally.closed, reason)
    this.over(connection)
  }

  left(connection: Connection): void {
    this.leaving.delete(connection)
    if (this.size === 0) this.#allLeft?.()
  }

  watch(connection: Connection): void {
    if (!connection.ended) this.watched.add(connection)
  }

  resynced(reason: ResyncReason): void {
    count(this.tally.resyncs, reason)
  }

  wrote(bytes: number): void {
    this.tally.writes++
    this.tally.bytesWritten += bytes
  }

  failed(connection: Connection, error: unknown): void {
    this.logger.error('a connection met an error', { connectionId: connection.id, error: describe(error) })
  }

  #end(filter: ConnectionFilter, reason: ClosingReason): number {
    assertFilter(filter)
    this.revocations.add(filter, this.ports.clock.monotonic())
    const connections = [...this.registry.matching(filter)]
    for (const connection of connections) connection.close(reason)
    return connections.length
  }
}
