import { useConnectionState } from '@entitycast/sse-client/react'

const WORDS = {
  connecting: 'Connecting…',
  connected: 'Live',
  reconnecting: 'Reconnecting…',
  refreshing: 'Refreshing…',
  disconnected: 'Not connected',
  off: 'Updates off',
}

const HINTS: typeof WORDS = {
  connecting: 'Opening the stream of changes',
  connected: 'Changes appear by themselves',
  reconnecting: 'The connection was lost. It is being opened again, and nothing will be missed',
  refreshing: 'Something may have been missed: the board is being loaded again',
  disconnected: 'Changes do not appear by themselves',
  off: 'Changes appear with the reload button',
}

/** Whether the board follows the database by itself. */
export function ConnectionIndicator({ enabled, refreshing }: { enabled: boolean; refreshing: boolean }) {
  const connection = useConnectionState()
  const isRefreshing = connection === 'resyncing' || (connection === 'connected' && refreshing)
  const state = !enabled ? 'off' : isRefreshing ? 'refreshing' : connection
  return (
    <p className="indicator" data-state={state} role="status" title={HINTS[state]}>
      <span className="indicator-dot" aria-hidden="true" />
      {WORDS[state]}
    </p>
  )
}
