import { useEffect } from 'react'
import { api } from './api'

/**
 * Tells the others that this submission is being reviewed here, for as long as the drawer is open. The lock is a lease:
 * where this page disappears without a word, the server ends it.
 */
export function useReviewLock(submissionId: string, wanted: boolean, ttlMs: number): void {
  useEffect(() => {
    if (!wanted) return
    const holder = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`
    // A refusal needs no handling: somebody was faster, and `lock:acquired` says who.
    const renew = () => api.lock(submissionId, holder).catch(() => {})
    const release = () => api.unlock(submissionId, holder).catch(() => {})
    const acquired = renew()
    const timer = setInterval(renew, ttlMs / 3)
    addEventListener('pagehide', release)
    addEventListener('pageshow', renew)
    return () => {
      clearInterval(timer)
      removeEventListener('pagehide', release)
      removeEventListener('pageshow', renew)
      // Not before the answer: a release that overtakes its own request would leave the lock behind.
      void acquired.then(release)
    }
  }, [submissionId, wanted, ttlMs])
}
