const KEY = 'session-changed'

/*
 * The tabs of one browser share one cookie. Whoever signs in or out in one of them changes it for all: the others must not go on
 * showing the one user, and acting as the other.
 */

/** Tells the other tabs. */
export function announceSession(): void {
  localStorage.setItem(KEY, String(Date.now()))
}

/** Calls back when another tab has told. The result stops it. */
export function onSessionChanged(handler: () => void): () => void {
  const listener = (event: StorageEvent) => {
    if (event.key === KEY) handler()
  }
  addEventListener('storage', listener)
  return () => removeEventListener('storage', listener)
}
