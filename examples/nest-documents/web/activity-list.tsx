import type { ActivityRow } from '../shared/model'
import { Avatar, timeOf } from './marks'

export function ActivityList({ activity }: { activity: ActivityRow[] }) {
  return (
    <section className="card activity" aria-label="Activity">
      <header className="card-head">
        <h2>Activity</h2>
      </header>
      {activity.length === 0 ? (
        <p className="muted small">Nothing has happened yet.</p>
      ) : (
        <ul data-testid="activity">
          {activity.map((entry) => (
            <li key={entry.id}>
              <Avatar name={entry.userName} />
              <span>
                <strong>{entry.userName}</strong> {entry.text}
              </span>
              <time className="muted small" dateTime={entry.at}>
                {timeOf(entry.at, 'short')}
              </time>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
