import type { Cursor } from '@entitycast/sse-protocol'
import type { ConnectionFilter } from '../feed/connection'
import type { ClusterStats } from '../peers/cluster-stats'
import { Peers } from '../peers/peers'
import { Presence } from '../presence/presence'
import type { PresentUser } from '../presence/present-user'
import type { Adapter } from '../seams/adapter'
import type { Ports } from '../seams/ports'
import { describe, HubError } from './error'
import type { HubSettings } from './options'
import type { Streams } from './streams'
import type { HubStats } from './tally'

/** The hub that has the others. */
interface Host {
  stats(): HubStats
  /** Where a project's log ends. */
  head(projectId: string): Promise<Cursor>
  /** Events of ours have been accepted by the log. */
  published(count: number): void
  /** There is something to look after. */
  wake(): void
}

/** What a hub has to do with the other instances: what they end and what it ends, who is present, and what all of them do and hold. */
export class Cluster {
  readonly #peers: Peers
  readonly #presence: Presence | undefined

  constructor(
    adapter: Adapter,
    ports: Ports,
    readonly settings: HubSettings,
    readonly streams: Streams,
    readonly host: Host,
  ) {
    const { logger, presence, instanceTtlMs } = settings
    this.#peers = new Peers(adapter, ports, instanceTtlMs, {
      end: (filter, reason) => this.#endForOthers(filter as ConnectionFilter, reason),
      missed: () => this.#renew(),
      stats: () => host.stats(),
      failed: (error) => logger.warn('the control log cannot be opened', { error: describe(error) }),
    })
    if (!presence) return
    const failed = (error: unknown) => logger.warn('presence has met an error', { error: describe(error) })
    const options = { ...presence, retentionMs: settings.retention.ageMs }
    this.#presence = new Presence(adapter, ports, options, this.#peers, { ...host, failed })
  }

  /** Begins to listen to the others, where there can be any. */
  begin(): void {
    if (!this.#peers.shared) return
    this.host.wake()
    this.ready()?.catch(() => {})
  }

  /** Resolves when no revocation by another instance can be missed any more. */
  ready(): Promise<void> | undefined {
    return this.#peers.ready()
  }

  /** Whether it needs another round of the hub's one timer. */
  tick(now: number): boolean {
    this.#peers.tick(now)
    this.#presence?.tick(now)
    return this.#peers.shared || (this.#presence?.size ?? 0) > 0
  }

  /** A stream was opened. */
  entered(projectId: string, userId: string | undefined): void {
    this.#presence?.entered(projectId, userId)
  }

  /** A stream is on its way out. */
  left(projectId: string, userId: string | undefined): void {
    this.#presence?.left(projectId, userId)
  }

  /** Has the others end their streams too, after `ended` of ours have. */
  async end(filter: ConnectionFilter, reason: 'rotated' | 'revoked', ended: number): Promise<number> {
    // Ids of connections are unique: one that was here is nowhere else.
    if (filter.connectionId === undefined || ended === 0) await this.#peers.end(filter, reason)
    return ended
  }

  stats(timeoutMs: number): Promise<ClusterStats> {
    return this.#peers.stats(timeoutMs)
  }

  async users(projectId: string): Promise<PresentUser[]> {
    if (this.#presence) return this.#presence.users(projectId)
    throw new HubError('INVALID_OPTION', 'presence is off; switch it on with new EventHub({ presence: true })')
  }

  async close(): Promise<void> {
    await this.#presence?.close()
    await this.#peers.close()
  }

  /** Another instance ends streams; what it means must not be guessed. */
  #endForOthers(filter: ConnectionFilter, reason: 'rotated' | 'revoked'): void {
    try {
      if (reason === 'rotated') this.streams.disconnect(filter)
      else this.streams.revoke(filter)
    } catch {
      this.#renew()
    }
  }

  #renew(): void {
    const ended = this.streams.renew()
    if (ended === 0) return
    this.settings.logger.warn('what others revoked may have been missed: all streams begin anew', { ended })
  }
}
