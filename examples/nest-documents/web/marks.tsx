/** The small marks that repeat: logo, avatar, status chip, progress bar, time. */

export function Logo() {
  return <img className="logo" src="/icon.svg" alt="" width="28" height="28" />
}

export function Avatar({ name }: { name: string }) {
  const initials = name
    .split(' ')
    .map((part) => part[0])
    .join('')
  // The same person has the same colour everywhere.
  const hue = [...name].reduce((sum, character) => (sum * 61 + character.charCodeAt(0)) % 360, 0)
  return (
    <span className="avatar" aria-hidden="true" style={{ '--hue': hue } as React.CSSProperties}>
      {initials}
    </span>
  )
}

const STATUS_WORDS = { pending: 'Pending', queued: 'Queued', embedding: 'Embedding', embedded: 'Embedded' }

export function StatusChip({ status }: { status: keyof typeof STATUS_WORDS }) {
  return <span className={`chip chip-${status}`}>{STATUS_WORDS[status]}</span>
}

export function Progress({ label, done, all }: { label: string; done: number; all: number }) {
  const share = all === 0 ? 0 : (done / all) * 100
  return (
    <span
      className={`progress ${done === all && all > 0 ? 'progress-done' : ''}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={all}
      aria-valuenow={done}
      aria-valuetext={`${done} of ${all}`}
    >
      <span style={{ inlineSize: `${share}%` }} />
    </span>
  )
}

/** The time, or the day where it was not today. */
export function timeOf(iso: string, timeStyle: 'short' | 'medium'): string {
  const date = new Date(iso)
  const isToday = date.toDateString() === new Date().toDateString()
  return isToday
    ? date.toLocaleTimeString([], { timeStyle })
    : date.toLocaleDateString([], { day: 'numeric', month: 'short' })
}
