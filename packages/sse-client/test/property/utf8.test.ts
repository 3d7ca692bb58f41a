import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { textDecoder } from '../../src/subscriber/stream'
import '../../../sse-protocol/test/property/replay'

/** Bytes and where they are cut. */
const pieces = fc
  .tuple(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }).map((text) => new TextEncoder().encode(text)),
      // Any bytes at all, many of them from the middle of characters.
      fc
        .array(fc.oneof(fc.integer({ min: 0x80, max: 0xff }), fc.integer({ min: 0, max: 0xff })), { maxLength: 40 })
        .map((bytes) => new Uint8Array(bytes)),
      fc.constant(new TextEncoder().encode('\uFEFF\uFEFFa\uFEFF')),
    ),
    fc.array(fc.nat(60), { maxLength: 12 }),
  )
  .map(([bytes, cuts]) => {
    const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]
    return at.slice(1).flatMap((end, i) => (end > (at[i] as number) ? [bytes.slice(at[i], end)] : []))
  })

describe('bytes that come in pieces', () => {
  it('[K1] have the same text however they are cut, as the decoder of the platform reads a stream', () => {
    fc.assert(
      fc.property(pieces, (pieces) => {
        // It is asked to keep the byte order mark: of one that is cut, Node 24 takes another one after it away as well.
        const platform = new TextDecoder('utf-8', { ignoreBOM: true })
        const ours = textDecoder()
        let [text, expected] = ['', '']
        for (const piece of [...pieces, Uint8Array.of(0x41)]) {
          text += ours(piece)
          expected += platform.decode(piece, { stream: true })
          expect(text).toBe(expected.replace(/^\uFEFF/, ''))
        }
        expect(text).toBe(new TextDecoder().decode(Uint8Array.from([...pieces.flatMap((piece) => [...piece]), 0x41])))
      }),
      { numRuns: 2_000 },
    )
  })
})
