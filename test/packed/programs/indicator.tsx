// The indicator of docs/bindings.md, in a page. The address says what the page's server is asked for; the test has the rest in its hands.
import { createRoot } from 'react-dom/client'

const style = document.createElement('style')
style.textContent = `
  body { margin: 16px; font: 15px system-ui, sans-serif; color: #1d2430; background: #fff }
  .indicator { display: inline-flex; align-items: center; gap: 8px; margin: 0; padding: 6px 12px; border: 1px solid #d5dae1; border-radius: 16px }
  .indicator::before { content: ''; width: 9px; height: 9px; border-radius: 50%; background: #8a94a3 }
  .connected::before { background: #1a9a52 }
  .connecting::before, .reconnecting::before, .resyncing::before { background: #e09b1a }
  .disconnected::before { background: #cf3636 }
  .indicator button { font: inherit; color: #1b5fc1; background: none; border: 0; padding: 0; text-decoration: underline }`
document.head.append(style)

// >>> indicator
import type { ConnectionSnapshot } from '@entitycast/sse-client'
import { DataUpdatesProvider, useConnectionState, useDataUpdates } from '@entitycast/sse-client/react'
import { shareAcrossTabs } from '@entitycast/sse-client/tabs'
import { useEffect, useState } from 'react'

const WORDS = {
  connecting: 'Connecting…',
  connected: 'Live',
  reconnecting: 'Reconnecting…',
  resyncing: 'Loading again…',
  disconnected: 'Not live',
}
const whole = (connection: ConnectionSnapshot) => connection

export function ConnectionIndicator() {
  const { subscriber } = useDataUpdates()
  const { state, nextRetryAt, error, role } = useConnectionState(whole)
  const now = useNow(nextRetryAt !== undefined)
  const seconds = nextRetryAt === undefined ? 0 : Math.ceil((nextRetryAt - now) / 1000)
  const isWaiting = state === 'reconnecting' && seconds > 0
  const isOffline = state === 'reconnecting' && !navigator.onLine
  return (
    <p role="status" className={`indicator ${state}`}>
      {isOffline ? 'Offline' : isWaiting ? `Reconnecting in ${seconds} s` : WORDS[state]}
      {state === 'connected' && role === 'follower' && ' · over another tab'}
      {error && !error.retrying && (error.code === 'FORBIDDEN' ? ' · not allowed' : ` · ${error.code}`)}
      {(isWaiting || state === 'disconnected') && (
        <button type="button" onClick={() => subscriber.reconnect()}>{isWaiting ? 'now' : 'again'}</button>
      )}
    </p>
  )
}

/** The time, once a second while it is wanted. */
function useNow(isWanted: boolean) {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!isWanted) return
    const tick = () => setNow(Date.now())
    tick()
    const timer = setInterval(tick, 1000)
    return () => clearInterval(timer)
  }, [isWanted])
  return now
}
// <<<

const since = new URLSearchParams(location.search).get('since') ?? undefined
const headers = { authorization: 'Bearer secret' }
const updates = shareAcrossTabs('/api/events/stream', { identity: 'u1', headers, since })
const loaded = new Promise<void>((resolve) => Object.assign(globalThis, { loaded: resolve }))
updates.onResync(() => loaded)
updates.onError(() => {})
updates.connect()
createRoot(document.getElementById('root')!).render(
  <DataUpdatesProvider subscriber={updates}>
    <ConnectionIndicator />
  </DataUpdatesProvider>,
)
