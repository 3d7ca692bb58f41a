/** What a UI shows. */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'disconnected'

/**
 * Where a connection is.
 * - `closed`: nothing runs
 * - `requesting`: a request is on its way, or its answer has not yet said `connected` and what goes with it
 * - `streaming`: events arrive
 * - `waiting`: for the next attempt
 */
export type Phase = 'closed' | 'requesting' | 'streaming' | 'waiting'

/**
 * What can happen to it.
 * - `connect`, `close`: the application's calls
 * - `live`: the stream has begun
 * - `lost`: the attempt failed or the stream ended, and it is worth another
 * - `retry`: the wait is over, or has become pointless; or the stream is dead and has not said so
 * - `stop`: the server's word, after which there is no other attempt
 */
export type Signal = 'connect' | 'close' | 'live' | 'lost' | 'retry' | 'stop'

/** What follows. Nothing: there the signal means nothing, and does nothing. */
export const NEXT: Readonly<Record<Phase, Readonly<Record<Signal, Phase | undefined>>>> = {
  closed: {
    connect: 'requesting',
    close: undefined,
    live: undefined,
    lost: undefined,
    retry: undefined,
    stop: undefined,
  },
  requesting: {
    connect: undefined,
    close: 'closed',
    live: 'streaming',
    lost: 'waiting',
    retry: undefined,
    stop: 'closed',
  },
  streaming: {
    connect: undefined,
    close: 'closed',
    live: undefined,
    lost: 'waiting',
    retry: 'requesting',
    stop: 'closed',
  },
  waiting: {
    connect: undefined,
    close: 'closed',
    live: undefined,
    lost: undefined,
    retry: 'requesting',
    stop: undefined,
  },
}
