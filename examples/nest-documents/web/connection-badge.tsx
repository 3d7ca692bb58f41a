import { useDataUpdates } from '@entitycast/sse-client/react'
import { useState } from 'react'

const WORDS = {
  connecting: { text: 'Connecting…', hint: 'The page is opening its event stream.' },
  connected: { text: 'Live', hint: 'Connected: changes arrive by themselves.' },
  reconnecting: { text: 'Reconnecting…', hint: 'The connection was lost. What you see may be a little old.' },
  resyncing: { text: 'Refreshing…', hint: 'Changes may have been missed. The page is loading its data again.' },
  disconnected: { text: 'Disconnected', hint: 'The page gets no changes. Reconnect to try again.' },
}

/** Whether this page hears of changes at the moment. */
export function ConnectionBadge() {
  const { subscriber, connectionState } = useDataUpdates()
  // Before the first attempt, which follows the first paint, there is nothing to be alarmed about.
  const [hasBegun, setHasBegun] = useState(false)
  if (!hasBegun && connectionState !== 'disconnected') setHasBegun(true)
  const state = hasBegun ? connectionState : 'connecting'
  const { text, hint } = WORDS[state]

  return (
    <>
      <span
        className={`connection connection-${state}`}
        role="status"
        title={hint}
        data-testid="connection"
        data-state={state}
      >
        <span className="connection-dot" aria-hidden="true" />
        {text}
      </span>
      {state === 'disconnected' && (
        <button type="button" className="link" onClick={() => subscriber.connect()}>
          Reconnect
        </button>
      )}
    </>
  )
}
