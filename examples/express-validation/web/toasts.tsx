import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react'
import { BellIcon, CheckIcon, CrossIcon, MailIcon } from './icons'

export type Tone = 'good' | 'bad' | 'warn' | 'mail'

export interface Toast {
  id: number
  tone: Tone
  text: string
  detail?: string | undefined
}

const SHOWN_MS = 8_000
const MOST_SHOWN = 4

/** The toasts, and how to add one. */
export function useToasts(): {
  toasts: Toast[]
  show: (toast: Omit<Toast, 'id'>) => void
  dismiss: (id: number) => void
} {
  const [toasts, setToasts] = useState<Toast[]>([])
  const nextId = useRef(1)
  const show = useCallback((toast: Omit<Toast, 'id'>) => {
    const id = nextId.current++
    setToasts((shown) => [...shown, { ...toast, id }].slice(-MOST_SHOWN))
  }, [])
  const dismiss = useCallback((id: number) => setToasts((shown) => shown.filter((toast) => toast.id !== id)), [])
  return { toasts, show, dismiss }
}

const ICONS: Record<Tone, ReactNode> = {
  good: <CheckIcon />,
  bad: <CrossIcon />,
  warn: <BellIcon />,
  mail: <MailIcon />,
}

/** Read out by screen readers as they come; never taking the focus. */
export function Toasts({ toasts, dismiss }: { toasts: Toast[]; dismiss: (id: number) => void }) {
  return (
    <section className="toasts" aria-label="Notifications" aria-live="polite" aria-relevant="additions">
      <ul>
        {toasts.map((toast) => (
          <ToastCard key={toast.id} toast={toast} dismiss={dismiss} />
        ))}
      </ul>
    </section>
  )
}

function ToastCard({ toast, dismiss }: { toast: Toast; dismiss: (id: number) => void }) {
  // Who points at a toast or tabs into it is reading it.
  const [held, setHeld] = useState(false)
  useEffect(() => {
    if (held) return
    const timer = setTimeout(() => dismiss(toast.id), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [held, toast.id, dismiss])
  return (
    <li
      className={`toast toast-${toast.tone}`}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <span className="toast-icon">{ICONS[toast.tone]}</span>
      <div className="toast-text">
        <p>{toast.text}</p>
        {toast.detail && <p className="toast-detail">{toast.detail}</p>}
      </div>
      <button type="button" className="icon-button" onClick={() => dismiss(toast.id)}>
        <CrossIcon />
        <span className="visually-hidden">Dismiss</span>
      </button>
    </li>
  )
}
