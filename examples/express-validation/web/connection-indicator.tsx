import { useConnectionState } from '@entitycast/sse-client/react'

const WORDS = {
  connecting: 'Connecting…',
  connected: 'Live',
  reconnecting: 'Reconnecting…',
  disconnected: 'Not connected',
}

const HINTS = {
  connecting: 'Opening the stream of changes',
  connected: 'Changes appear by themselves',
  reconnecting: 'The connection was lost. It is being opened again, and nothing will be missed',
  disconnected: 'Changes do not appear by themselves',
}

/** Whether the board follows the database by itself. */
export function ConnectionIndicator({ enabled }: { enabled: boolean }) {
  const state = useConnectionState()
  return (
    <p
      className="indicator"
      data-state={enabled ? state : 'off'}
      role="status"
      title={enabled ? HINTS[state] : 'Use the reload button'}
    >
      <span className="indicator-dot" aria-hidden="true" />
      {enabled ? WORDS[state] : 'Updates off'}
    </p>
  )
}
