import { constants, deflateRawSync } from 'node:zlib'

/*
 * A gzip stream that many connections share: the header at the start of each, then pieces that are the same bytes for everyone. No piece
 * refers to one before it, so a connection needs no state, and there is no trailer, whose checksum would be one.
 */

/** What a gzip stream begins with (RFC 1952, section 2.3): deflated, no name, no time, no system. */
export const GZIP_HEADER: Uint8Array = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])

/** An empty stored block (RFC 1951, section 3.2.4): whoever inflates gives out what it has, also where it waits for a block's end. */
const SYNC_MARKER = [0, 0, 0, 0xff, 0xff]
/** Most bytes of a stored block. */
const STORED_BYTES = 65_535
/** Below this a lone small event would save a few bytes, and a packet is a packet. */
const MIN_BYTES = 256

/** A small window: what repeats in events repeats soon, and memory is taken and given back for each piece. */
const OPTIONS = { level: 3, windowBits: 13, memLevel: 7, finishFlush: constants.Z_SYNC_FLUSH } as const

/** One piece of a gzip stream, from a byte's beginning to a byte's end. Stored as it is where compressing does not pay, or must not be. */
export function deflatePiece(bytes: Buffer, compressible: boolean): Buffer {
  if (!compressible || bytes.length < MIN_BYTES) return store(bytes)
  const deflated = deflateRawSync(bytes, { ...OPTIONS, chunkSize: bytes.length + 64 })
  return deflated.length < bytes.length ? deflated : store(bytes)
}

function store(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let from = 0; from < bytes.length; from += STORED_BYTES) {
    const part = bytes.subarray(from, from + STORED_BYTES)
    const head = Buffer.alloc(5)
    head.writeUInt16LE(part.length, 1)
    head.writeUInt16LE(part.length ^ 0xffff, 3)
    parts.push(head, part)
  }
  return Buffer.concat([...parts, Buffer.from(SYNC_MARKER)])
}
