import { open } from 'node:fs/promises'
import { endianness } from 'node:os'

/**
 * What Linux tells of each TCP socket in `/proc/net/tcp` and `/proc/net/tcp6`: how much of what was sent nobody has acknowledged, and
 * how often the kernel has tried in vain since the last answer. `docs/decisions/0008-dead-peers.md` has why it is asked.
 */

/** A socket whose kernel waits for an answer that has not come in time. */
export interface Unanswered {
  /** Bytes that were sent, or wait in the kernel to be sent, and are not acknowledged. */
  readonly bytes: number
  /** Retransmissions and window probes since the last answer. */
  readonly attempts: number
}

/** The ends of a socket, as Node has them. */
export interface Ends {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
}

export interface TcpTable {
  readonly path: string
  /** Hex digits of an address. */
  readonly digits: 8 | 32
}

export const TCP4: TcpTable = { path: '/proc/net/tcp', digits: 8 }
/** Also what speaks IPv4 through a socket of IPv6, as servers do that listen on `::`. */
export const TCP6: TcpTable = { path: '/proc/net/tcp6', digits: 32 }

/** Some kernels hand out a page at a time, whatever is asked for. */
const BUFFER_BYTES = 16_384
const COLON = 58
const LINE_FEED = 10
const ZERO = 48
const FOUR = 52
const IS_LITTLE = endianness() === 'LE'

/**
 * Reads a table off the event loop, a page at a time, and adds the sockets that wait for an answer to `found`, by `nameOf`.
 * `goOn` is asked between the pages.
 */
export async function readTable(
  table: TcpTable,
  found: Map<string, Unanswered>,
  goOn: () => boolean = () => true,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  const file = await open(table.path)
  try {
    let kept = 0
    while (goOn()) {
      const { bytesRead } = await file.read(buffer, kept, buffer.length - kept, null)
      if (bytesRead === 0) return
      const length = kept + bytesRead
      const read = scanLines(buffer.subarray(0, length), table, found)
      // A line that has not ended.
      buffer.copyWithin(0, read, length)
      kept = length - read
    }
  } finally {
    await file.close()
  }
}

/**
 * The same for a piece of a table. The result is how many of its bytes are whole lines. Nothing is cut out of the lines of sockets that
 * wait for nothing, which are nearly all.
 *
 *     sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
 *      0: 0100007F:1F90 0100007F:D431 01 00000064:00000000 01:00000014 00000001     0        0 4711 …
 */
export function scanLines(text: Buffer, { digits }: TcpTable, found: Map<string, Unanswered>): number {
  let start = 0
  for (;;) {
    const end = text.indexOf(LINE_FEED, start)
    if (end < 0) return start
    // The number of the line is as wide as it has to be; from its colon on every column has its place.
    const names = text.indexOf(COLON, start) + 2
    const sent = names + 2 * digits + 15
    if (names > 1 && sent + 38 < end && text[sent + 8] === COLON && !isZero(text, sent)) {
      const [retransmissions = '', , probes = ''] = text
        .toString('latin1', sent + 30, end)
        .trim()
        .split(/\s+/)
      // Probes of a peer without room have a timer of their own, `04`; where it runs, the other count is what is left of older days.
      const isProbing = text[sent + 19] === FOUR
      const attempts = isProbing ? Number(probes) : Number.parseInt(retransmissions, 16)
      if (attempts > 0) {
        const bytes = Number.parseInt(text.toString('latin1', sent, sent + 8), 16)
        found.set(text.toString('latin1', names, sent - 4), { bytes, attempts })
      }
    }
    start = end + 1
  }
}

/** What the tables call a socket: both ends, the addresses as words of the machine's own byte order. */
export function nameOf(ends: Ends, isLittle = IS_LITTLE): string | undefined {
  const local = endOf(ends.localAddress, ends.localPort, isLittle)
  const remote = endOf(ends.remoteAddress, ends.remotePort, isLittle)
  return local && remote && `${local} ${remote}`
}

/** The remote port in a name of the tables. */
export function remotePortOf(name: string): number {
  return Number.parseInt(name.slice(-4), 16)
}

function isZero(text: Buffer, at: number): boolean {
  // From the right: that is where a small number has its digits.
  for (let n = 7; n >= 0; n--) if (text[at + n] !== ZERO) return false
  return true
}

function endOf(address: string | undefined, port: number | undefined, isLittle: boolean): string | undefined {
  if (address === undefined || port === undefined) return undefined
  const bytes = address.includes(':') ? bytesOf6(address) : bytesOf4(address)
  if (isLittle) bytes.swap32()
  return `${bytes.toString('hex')}:${port.toString(16).padStart(4, '0')}`.toUpperCase()
}

function bytesOf4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

/** Of any way to write it: `::` for zeros, the last four bytes with dots, the interface after `%`. */
function bytesOf6(address: string): Buffer {
  const bytes = Buffer.alloc(16)
  const [head = '', tail] = address.replace(/%.*$/, '').split('::').map(groupsOf)
  Buffer.from(head).copy(bytes)
  if (tail) Buffer.from(tail).copy(bytes, 16 - tail.length)
  return bytes
}

function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return [...bytesOf4(group)]
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 255]
  })
}
