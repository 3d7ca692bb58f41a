import { useDataUpdates, useEntityUpdates, useResync } from '@entitycast/sse-client/react'
import { useCallback, useEffect, useRef, useState } from 'react'
import type { ActivityRow } from '../shared/model'
import type { Api } from './api'
import { addActivity, applyToRows, type Rows } from './rows'
import { SignedOut } from './session'

type Change = (rows: Rows) => Rows

interface LiveRows {
  rows: Rows
  /** The rows are being loaded again: what they show may be old. */
  stale: boolean
}

/**
 * The rows of the tables, equal to the database: loaded once, changed by events, and loaded again on `resync`.
 * Events that arrive during a load are kept and applied once more to what was loaded, which may be from before them.
 */
export function useLiveRows(api: Api, initial: Rows): LiveRows {
  const [rows, setRows] = useState(initial)
  const [stale, setStale] = useState(false)
  const sinceLoad = useRef<Change[]>([])
  const loading = useRef<AbortController | null>(null)

  const change = useCallback((apply: Change) => {
    if (loading.current) sinceLoad.current.push(apply)
    setRows(apply)
  }, [])

  const reload = useCallback(async () => {
    loading.current?.abort()
    const load = new AbortController()
    loading.current = load
    sinceLoad.current = []
    setStale(true)
    for (let attempt = 0; !load.signal.aborted; attempt++) {
      try {
        const { cursor: _, ...loaded } = await api.load(load.signal)
        if (load.signal.aborted) return
        setRows(sinceLoad.current.reduce((so, apply) => apply(so), loaded as Rows))
        setStale(false)
        loading.current = null
        return
      } catch (error) {
        if (error instanceof SignedOut) return
        await pause(Math.min(10_000, 500 * 2 ** attempt), load.signal)
      }
    }
  }, [api])

  useEffect(() => () => loading.current?.abort(), [])

  const { on } = useDataUpdates()
  useResync(() => void reload())
  // A server died between storing a change and publishing it; another one has found out.
  useEffect(() => on('documents:changed', () => void reload()), [on, reload])
  useEntityUpdates('*', (event) => change((before) => applyToRows(before, event)))
  useEffect(
    () => on('activity:recorded', (event) => change((before) => addActivity(before, event.data as ActivityRow))),
    [on, change],
  )

  return { rows, stale }
}

/** Resolves after a while, at once when aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
