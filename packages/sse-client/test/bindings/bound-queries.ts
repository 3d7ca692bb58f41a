import { type BindOptions, bindQueryClient, type QueryMap } from '@entitycast/sse-client/tanstack-query'
import { createFakeServer } from '@entitycast/sse-client/testing'
import type { EventDefinitions } from '@entitycast/sse-protocol'
import { notifyManager, QueryClient, type QueryKey, QueryObserver } from '@tanstack/query-core'
import { onTestFinished, vi } from 'vitest'

/** A subscriber that is bound to a cache, and queries whose answers the test gives. */
export async function bound(map: QueryMap<EventDefinitions, string>, options?: BindOptions) {
  const server = createFakeServer()
  const subscriber = server.subscriber()
  subscriber.onError(() => {})
  const queryClient = new QueryClient({
    defaultOptions: { queries: { retry: false, gcTime: Number.POSITIVE_INFINITY } },
  })
  const unbind = bindQueryClient(subscriber, queryClient, map, options)
  await server.connect(subscriber)
  onTestFinished(() => {
    unbind()
    server.close()
    queryClient.clear()
  })

  /** A query that somebody looks at. `answer` settles the oldest request that is open. */
  function look(queryKey: QueryKey, initialData?: unknown) {
    const requests: { resolve(data: unknown): void; reject(error: Error): void }[] = []
    let asked = 0
    const queryFn = () =>
      new Promise<unknown>((resolve, reject) => {
        asked++
        requests.push({ resolve, reject })
      })
    const stored = initialData !== undefined && { initialData, staleTime: Number.POSITIVE_INFINITY }
    const observer = new QueryObserver(queryClient, { queryKey, queryFn, ...stored })
    /** What a component would show: it reads the result when it is told of a change, as `useQuery` does. */
    const shown: unknown[] = []
    const read = () => {
      const { data } = observer.getCurrentResult()
      if (data !== undefined && data !== shown.at(-1)) shown.push(data)
    }
    onTestFinished(observer.subscribe(notifyManager.batchCalls(read)))
    return {
      shown,
      get asked() {
        return asked
      },
      get data() {
        return queryClient.getQueryData(queryKey)
      },
      get state() {
        return queryClient.getQueryState(queryKey)
      },
      async answer(data: unknown) {
        requests.shift()?.resolve(data)
        await vi.advanceTimersByTimeAsync(0)
      },
      async fail() {
        requests.shift()?.reject(new Error('no answer'))
        await vi.advanceTimersByTimeAsync(0)
      },
    }
  }
  const update = (id: string, chunks: number, version?: number) =>
    server.push({
      type: 'entity.updated',
      entity: 'document',
      id,
      data: { chunks },
      ...(version !== undefined && { version }),
    })
  return { server, subscriber, queryClient, unbind, look, update }
}
