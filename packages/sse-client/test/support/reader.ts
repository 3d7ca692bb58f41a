import type { StreamReader } from '../../src/seams/ports'
import type { StreamFrame } from '../../src/subscriber/parser'
import { readStream } from '../../src/subscriber/stream'

/** A reader over chunks that are already there. */
export function readerOf(chunks: Iterable<Uint8Array>): StreamReader {
  const rest = chunks[Symbol.iterator]()
  return {
    read: async () => {
      const { done, value } = rest.next()
      return done ? { done: true } : { done: false, value }
    },
    cancel: async () => {},
  }
}

export interface Reading {
  end: 'STREAM_ENDED' | 'TOO_LARGE'
  frames: StreamFrame[]
  retries: number[]
  /** How many chunks were taken. */
  chunks: number
}

/** Whatever a whole stream gives. */
export async function readChunks(chunks: Iterable<Uint8Array>, maxEventBytes = 1_048_576): Promise<Reading> {
  const reading: Reading = { end: 'STREAM_ENDED', frames: [], retries: [], chunks: 0 }
  reading.end = await readStream(readerOf(chunks), maxEventBytes, {
    bytes: () => void reading.chunks++ as undefined,
    frame: ({ event, id, data }) => reading.frames.push({ event, id, data }),
    retry: (delayMs) => reading.retries.push(delayMs),
  })
  return reading
}

/** The bytes, cut at these places. */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const edges = [...new Set([0, ...places.filter((place) => place > 0 && place < bytes.length), bytes.length])].sort(
    (a, b) => a - b,
  )
  return edges.slice(1).map((edge, i) => bytes.slice(edges[i], edge))
}
