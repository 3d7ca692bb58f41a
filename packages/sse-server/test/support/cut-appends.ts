import { expect } from 'vitest'
import { type BrokerHub, emit, eventually, ready, told, upTo } from './broker-hub'
import type { TestStream } from './stream'

/**
 * Publishes to a hub whose connection is cut meanwhile, again and again, until something was rejected. Then each client must have been told what
 * was accepted, once and in order, and what was rejected at most once.
 *
 * @param count how many are published between two cuts
 * @param cut cuts the connection; `appends` are under way
 */
export async function publishWhileCut(
  one: BrokerHub,
  clients: readonly TestStream[],
  count: number,
  cut: (appends: readonly Promise<void>[]) => Promise<unknown>,
): Promise<void> {
  const kept: number[] = []
  const lost: number[] = []
  let n = 0
  for (let round = 0; round < 5 || lost.length === 0; round++) {
    const appends = upTo(count).map(() => {
      const own = ++n
      return emit(one, own).then(
        () => void kept.push(own),
        (error) => {
          expect(error).toMatchObject({ code: 'UNAVAILABLE' })
          lost.push(own)
        },
      )
    })
    await Promise.all([cut(appends), ...appends])
    await ready(one)
  }
  // The last cut may not have been noticed yet.
  const last = await eventually(async () => {
    const own = ++n
    lost.push(own)
    await emit(one, own)
    return own
  })
  lost.pop()
  kept.push(last)
  const [isKept, isLost] = [new Set(kept), new Set(lost)]
  for (const client of clients) {
    await eventually(() => expect(told(client).at(-1)).toBe(last))
    const seen = told(client) as number[]
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.filter((number) => isKept.has(number))).toEqual([...kept].sort((a, b) => a - b))
    expect(seen.filter((number) => !isKept.has(number) && !isLost.has(number))).toEqual([])
    expect(client.resyncs).toEqual([])
  }
}
