import {
  type Cursor,
  EventHub,
  type EventHubOptions,
  type LogEntry,
  type LogListener,
  type LogRecord,
  type Retention,
} from '@entitycast/sse-server'
import { NatsAdapter, type NatsAdapterOptions } from '@entitycast/sse-server/nats'
import type { NatsConnection } from '@nats-io/transport-node'
import type { NatsServer } from './nats'

export const RETENTION: Retention = { ageMs: 60_000, events: 1_000, bytes: 1_048_576 }

/** A hub on NATS, quick to notice what happens to it. */
export interface NatsHub {
  readonly hub: EventHub
  readonly adapter: NatsAdapter
}

type Options = Partial<NatsAdapterOptions>

/** Adapters, alone or under hubs, as the processes of one application would have them; `end` closes those that are left. */
export class NatsInstances {
  readonly #closing: (() => Promise<void>)[] = []

  adapter(server: NatsServer, options: Options = {}, retention = RETENTION): NatsAdapter {
    const adapter = this.#make(server, options)
    adapter.start(retention)
    this.#closing.push(() => adapter.close())
    return adapter
  }

  hub(server: NatsServer, options: Options = {}, hubOptions: EventHubOptions = {}): NatsHub {
    const adapter = this.#make(server, options)
    const hub = new EventHub({ logger: false, heartbeatIntervalMs: 5_000, ...hubOptions, adapter })
    this.#closing.push(() => hub.close())
    return { hub, adapter }
  }

  #make(server: NatsServer, options: Options): NatsAdapter {
    return new NatsAdapter({ connect: () => server.connect(), checkIntervalMs: 200, ...options })
  }

  async end(): Promise<void> {
    await Promise.all(this.#closing.splice(0).map((close) => close()))
  }
}

/** What an adapter tells of a project. */
export class Ear implements LogListener {
  readonly seen: LogEntry[] = []
  readonly doubts: { head: Cursor; reason: string }[] = []

  static async open(adapter: NatsAdapter, projectId: string): Promise<Ear & { head: Cursor; close(): void }> {
    const ear = new Ear()
    const { head, close } = await adapter.open(projectId, ear)
    return Object.assign(ear, { head, close })
  }

  entries(entries: readonly LogEntry[]): void {
    this.seen.push(...entries)
  }

  doubt(head: Cursor, reason: string): void {
    this.doubts.push({ head, reason })
  }

  get datas(): string[] {
    return this.seen.map(({ record }) => record.data)
  }
}

export const record = (data: unknown): LogRecord => ({ type: 'a:b', data: String(data), channel: 'default' })

/** A connection that does something else when a message is appended. `send` does what it would have done. */
export function withAppends(
  connection: NatsConnection,
  append: <Answer>(send: () => Promise<Answer>) => Promise<Answer>,
): NatsConnection {
  const request = connection.request.bind(connection)
  connection.request = (subject, payload, options) =>
    subject.includes('.log.') ? append(() => request(subject, payload, options)) : request(subject, payload, options)
  return connection
}
