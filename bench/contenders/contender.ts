import type { BenchEvent } from './event'

/** What a workload asks of a server. */
export interface ServerOptions {
  /** Heartbeat of each stream, in milliseconds. Default: what the server does by itself. */
  heartbeatMs?: number
  /** Check a signed token on each connect, by `authorize` or whatever the server has for it. */
  authorize?: boolean
  /** Compress the streams. */
  compress?: boolean
  /** Let go of Node's request and response when a stream is open. */
  lean?: boolean
  /** Take the project, the user and the channel of a stream from its headers. */
  projects?: boolean
}

/** A server as the bench drives it: one process, publishing from inside. */
export interface Contender {
  /** Listens on 127.0.0.1 and returns the port. The stream is at `/stream`. */
  listen(options: ServerOptions): Promise<number>
  /** Gives the events to every open stream, in this turn of the event loop. */
  publish(events: readonly BenchEvent[]): void
  /** The place to come back to, where the server replays. */
  cursor?(): Promise<string>
  /** Streams that are open, where the server can tell. */
  readonly open?: number
}
