import type { ReactNode } from 'react'

/* Line icons, 24 by 24. All are decoration: the text beside them carries the meaning. */

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  )
}

export const CheckIcon = () => (
  <Icon>
    <path d="M5 12.5l4.5 4.5L19 7.5" />
  </Icon>
)
export const CrossIcon = () => (
  <Icon>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
)
export const ClockIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8.5" />
    <path d="M12 7.5V12l3 2" />
  </Icon>
)
export const LockIcon = () => (
  <Icon>
    <rect x="5" y="10.5" width="14" height="9.5" rx="2" />
    <path d="M8 10.5V8a4 4 0 018 0v2.5" />
  </Icon>
)
export const BellIcon = () => (
  <Icon>
    <path d="M6 16.5h12l-1.5-2.3V10a4.5 4.5 0 00-9 0v4.2L6 16.5zM10 19.5a2 2 0 004 0" />
  </Icon>
)
export const MailIcon = () => (
  <Icon>
    <rect x="3.5" y="5.5" width="17" height="13" rx="2" />
    <path d="M4 7.5l8 6 8-6" />
  </Icon>
)
export const ReloadIcon = () => (
  <Icon>
    <path d="M19 12a7 7 0 11-2-4.9M19 4v4h-4" />
  </Icon>
)
export const SearchIcon = () => (
  <Icon>
    <circle cx="11" cy="11" r="6" />
    <path d="M15.5 15.5L20 20" />
  </Icon>
)
export const PlusIcon = () => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
)
export const SunIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="4" />
    <path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M5.6 18.4L7 17M17 7l1.4-1.4" />
  </Icon>
)
export const MoonIcon = () => (
  <Icon>
    <path d="M19.5 14.5A8 8 0 019.5 4.5a8 8 0 1010 10z" />
  </Icon>
)
export const ExitIcon = () => (
  <Icon>
    <path d="M10 5H6a1.5 1.5 0 00-1.5 1.5v11A1.5 1.5 0 006 19h4M14 8l4 4-4 4M18 12H9.5" />
  </Icon>
)
