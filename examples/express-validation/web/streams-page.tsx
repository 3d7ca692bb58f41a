import { useCallback, useEffect, useState } from 'react'
import type { OpenConnection, StreamStats, User } from '../shared/api'
import { api, messageOf } from './api'
import { Avatar } from './avatar'

const EVERY_MS = 2_000

/** For the admin: who listens in this tenant, and what the hub counts in the whole process. */
export function StreamsPage({ userOf }: { userOf: (userId: string) => User }) {
  const [connections, setConnections] = useState<OpenConnection[]>([])
  const [stats, setStats] = useState<StreamStats>()
  const [error, setError] = useState<string>()

  const load = useCallback(async () => {
    try {
      const [open, counts] = await Promise.all([api.connections(), api.streamStats()])
      setConnections(open)
      setStats(counts)
      setError(undefined)
    } catch (thrown) {
      setError(messageOf(thrown))
    }
  }, [])
  useEffect(() => {
    void load()
    const timer = setInterval(load, EVERY_MS)
    return () => clearInterval(timer)
  }, [load])

  return (
    <main className="page">
      <div className="page-head">
        <h1>Streams</h1>
        <p className="quiet">Who has the board open, and what the hub has done since it was started.</p>
      </div>
      {error && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
      {stats && (
        <dl className="figures" aria-label="Figures of the whole process">
          <Figure label="Open streams" value={stats.connections} />
          <Figure label="Events published" value={stats.published} />
          <Figure label="Streams opened" value={stats.opened} />
          <Figure label="Behind" value={stats.lagging} />
          <Figure label="Resyncs" value={sum(stats.resyncs)} />
          <Figure label="Refused" value={sum(stats.refused)} />
          <Figure label="Sent" value={bytes(stats.bytesWritten)} />
          <Figure label="Up for" value={duration(stats.uptimeMs)} />
        </dl>
      )}
      {connections.length === 0 && <p className="empty">Nobody is listening.</p>}
      <div className="table-frame" hidden={connections.length === 0}>
        <table className="table">
          <caption className="visually-hidden">Open streams of this tenant</caption>
          <thead>
            <tr>
              <th scope="col">User</th>
              <th scope="col">Channels</th>
              <th scope="col">Open for</th>
              <th scope="col">State</th>
              <th scope="col">
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {connections.map(({ connectionId, userId, channels, ageMs, lagging }) => (
              <tr key={connectionId}>
                <th scope="row">
                  <span className="person">
                    <Avatar name={userOf(userId).name} small />
                    {userOf(userId).name}
                  </span>
                </th>
                <td data-label="Channels">{channels.join(', ')}</td>
                <td data-label="Open for">{duration(ageMs)}</td>
                <td data-label="State">
                  <span className={`badge ${lagging ? 'badge-pending' : 'badge-approved'}`}>
                    {lagging ? 'Behind' : 'Up to date'}
                  </span>
                </td>
                <td className="cell-end">
                  <button
                    type="button"
                    className="button button-small"
                    onClick={() => api.disconnect(connectionId).then(load, load)}
                  >
                    Disconnect
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </main>
  )
}

function Figure({ label, value }: { label: string; value: number | string }) {
  return (
    <div className="figure">
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  )
}

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((total, count) => total + count, 0)

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

function bytes(count: number): string {
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`
}
