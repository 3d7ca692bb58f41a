/**
 * What a UI shows. `resyncing`: the stream is live, and events wait while async `onResync` handlers load the data again, or while it is too
 * soon for the next resync.
 */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'resyncing' | 'disconnected'

/**
 * Why nothing runs. The stream is open only while there is no reason at all, so that each can come and go by itself, and none brings back
 * what another holds.
 * - `closed`: the application has not called `connect()`, or has called `close()`; or the server has said that there is no use
 * - `hidden`: nobody looks at the page, and the option `hidden` says that it may close
 * - `frozen`: the page is left, frozen, or in the back/forward cache
 * - `offline`, `disabled`, `follower`: for the application and for bindings, by `pause()` and `resume()`
 */
export type PauseReason = 'closed' | 'hidden' | 'frozen' | 'offline' | 'disabled' | 'follower'

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
 * - `connect`: there is no reason left to be closed; `hold`: nor is there, but the server's minimum is not over
 * - `close`: there is one
 * - `live`: the stream has begun; `renew`: another has taken its place, which goes on right there
 * - `lost`: the attempt failed or the stream ended, and it is worth another
 * - `retry`: the wait is over, or has become pointless; or the stream is dead and has not said so; or the application says so
 * - `stop`: the server's word, after which there is no other attempt
 */
export type Signal = 'connect' | 'hold' | 'close' | 'live' | 'renew' | 'lost' | 'retry' | 'stop'

/** What follows. Whatever is not here means nothing, and does nothing. */
export const NEXT: Readonly<Record<Phase, Readonly<Partial<Record<Signal, Phase>>>>> = {
  closed: { connect: 'requesting', hold: 'waiting' },
  requesting: { live: 'streaming', lost: 'waiting', retry: 'requesting', stop: 'closed', close: 'closed' },
  streaming: { renew: 'streaming', lost: 'waiting', retry: 'requesting', stop: 'closed', close: 'closed' },
  waiting: { retry: 'requesting', close: 'closed' },
}
