import { initials } from './format'

const HUES = [172, 218, 268, 322, 18, 44, 96]

/** A person's initials on a colour of their own. */
export function Avatar({ name, small }: { name: string; small?: boolean }) {
  const sum = [...name].reduce((total, char) => total + char.charCodeAt(0), 0)
  return (
    <span
      className={small ? 'avatar avatar-small' : 'avatar'}
      style={{ '--hue': HUES[sum % HUES.length] } as React.CSSProperties}
      aria-hidden="true"
    >
      {initials(name)}
    </span>
  )
}
