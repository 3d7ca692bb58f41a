import type { Tenant, User } from '../shared/api'
import { Avatar } from './avatar'
import { ConnectionIndicator } from './connection-indicator'
import { CheckIcon, ExitIcon, MoonIcon, SunIcon } from './icons'
import { useTheme } from './theme'

export type Page = 'board' | 'streams'

interface TopBarProps {
  tenant: Tenant
  user: User
  live: boolean
  refreshing: boolean
  page: Page
  onPage: (page: Page) => void
  onSignOut: () => void
}

export function TopBar({ tenant, user, live, refreshing, page, onPage, onSignOut }: TopBarProps) {
  const [theme, toggleTheme] = useTheme()
  return (
    <header className="top-bar">
      <div className="brand">
        <span className="brand-mark">
          <CheckIcon />
        </span>
        <div>
          <p className="brand-name">{tenant.name}</p>
          <p className="brand-line">{tenant.tagline}</p>
        </div>
      </div>
      {user.role === 'admin' && (
        <nav className="tabs" aria-label="Pages">
          <PageButton page="board" current={page} onPage={onPage}>
            Board
          </PageButton>
          <PageButton page="streams" current={page} onPage={onPage}>
            Streams
          </PageButton>
        </nav>
      )}
      <div className="top-bar-end">
        <ConnectionIndicator enabled={live} refreshing={refreshing} />
        <button type="button" className="icon-button" onClick={toggleTheme}>
          {theme === 'dark' ? <SunIcon /> : <MoonIcon />}
          <span className="visually-hidden">{theme === 'dark' ? 'Use light colours' : 'Use dark colours'}</span>
        </button>
        <div className="who">
          <Avatar name={user.name} />
          <div className="who-text">
            <p>{user.name}</p>
            <p className="quiet">{user.role === 'admin' ? 'Admin' : 'Reviewer'}</p>
          </div>
        </div>
        <button type="button" className="icon-button" onClick={onSignOut} title="Sign out">
          <ExitIcon />
          <span className="visually-hidden">Sign out</span>
        </button>
      </div>
    </header>
  )
}

function PageButton(props: { page: Page; current: Page; onPage: (page: Page) => void; children: string }) {
  return (
    <button
      type="button"
      className="tab"
      aria-current={props.page === props.current ? 'page' : undefined}
      onClick={() => props.onPage(props.page)}
    >
      {props.children}
    </button>
  )
}
