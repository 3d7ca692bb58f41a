import { describe, expect, it } from 'vitest'
import {
  nameOf,
  remotePortOf,
  scanLines,
  TCP4,
  TCP6,
  type TcpTable,
  type Unanswered,
} from '../../src/mounts/node-tcp-table'

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'

interface Line {
  n?: number
  names: string
  bytes: number
  timer?: string
  retransmissions?: number
  uid?: number
  probes?: number
}

/** As the kernel prints it, columns, padding and all. */
function line({ n = 0, names, bytes, timer = '01', retransmissions = 0, uid = 0, probes = 0 }: Line): string {
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, '0')
  const start = `${String(n).padStart(4)}: ${names} 01 ${hex(bytes)}:00000000 ${timer}:00000014 ${hex(retransmissions)}`
  return `${start} ${String(uid).padStart(5)} ${String(probes).padStart(8)} 8996902 2 0000000068be098e 20 4 31 11 -1\n`
}

function scan(table: TcpTable, ...lines: string[]): Record<string, Unanswered> {
  const found = new Map<string, Unanswered>()
  const text = Buffer.from(HEADER + lines.join(''))
  expect(scanLines(text, table, found)).toBe(text.length)
  return Object.fromEntries(found)
}

const FOUR = '01004D0A:1F90 02004D0A:D431'
const SIX = '000077FD000000000000000001000000:A9DD 000077FD000000000000000002000000:A22C'

describe('the table of TCP sockets', () => {
  it('[D9] a socket whose data was sent again is found, with what it has sent and how often', () => {
    expect(scan(TCP4, line({ names: FOUR, bytes: 0x104, retransmissions: 0x1c }))).toEqual({
      [FOUR]: { bytes: 0x104, attempts: 0x1c },
    })
    expect(scan(TCP6, line({ names: SIX, bytes: 94, retransmissions: 2, uid: 4_294_967_294 }))).toEqual({
      [SIX]: { bytes: 94, attempts: 2 },
    })
  })

  it('[D9] a socket whose peer has no room counts its unanswered probes, which are decimal', () => {
    const probed = line({ names: FOUR, bytes: 9, timer: '04', retransmissions: 7, probes: 12 })
    expect(scan(TCP4, probed)).toEqual({ [FOUR]: { bytes: 9, attempts: 12 } })
    expect(scan(TCP4, line({ names: FOUR, bytes: 9, timer: '04', retransmissions: 7, probes: 0 }))).toEqual({})
  })

  it('[D9] sockets that wait for nothing, for a first answer, or for a probe of keep-alive are left out', () => {
    const lines = [
      line({ n: 1, names: FOUR, bytes: 0, timer: '00' }),
      line({ n: 2, names: FOUR, bytes: 130, timer: '01' }),
      line({ n: 3, names: FOUR, bytes: 0, timer: '02', probes: 3 }),
    ]
    expect(scan(TCP4, ...lines)).toEqual({})
  })

  it('[D9] a line is found however long its number is, and in whatever pieces the table comes', () => {
    const lines = [
      line({ n: 9_999, names: '0100007F:0001 0100007F:0002', bytes: 1, retransmissions: 1 }),
      line({ n: 123_456, names: FOUR, bytes: 2, retransmissions: 2 }),
      line({ n: 1_234_567, names: FOUR.replace('D431', 'D432'), bytes: 0 }),
    ]
    const whole = scan(TCP4, ...lines)
    expect(Object.keys(whole)).toHaveLength(2)
    const text = Buffer.from(HEADER + lines.join(''))
    for (let size = 1; size <= text.length; size += 7) {
      const found = new Map<string, Unanswered>()
      let rest = Buffer.alloc(0)
      for (let from = 0; from < text.length; from += size) {
        rest = Buffer.concat([rest, text.subarray(from, from + size)])
        rest = rest.subarray(scanLines(rest, TCP4, found))
      }
      expect(Object.fromEntries(found)).toEqual(whole)
    }
  })

  it('[D9] what is no such table is no socket', () => {
    const lines = ['\n', ':\n', 'a: b\n', `${'0: '.padEnd(200, 'x')}\n`, '   0: 0100007F:1F90\n', HEADER]
    expect(scan(TCP4, ...lines)).toEqual({})
    expect(scan(TCP6, line({ names: FOUR, bytes: 1, retransmissions: 1 }))).toEqual({})
  })
})

describe("a socket's name in the table", () => {
  const ends = (localAddress: string, remoteAddress: string) => ({
    localAddress,
    localPort: 8080,
    remoteAddress,
    remotePort: 54_321,
  })

  it.each([
    ['10.77.0.1', '10.77.0.2', FOUR],
    ['::1', '2001:db8::ff00:42:8329', '00000000000000000000000001000000:1F90 B80D01200000000000FF000029834200:D431'],
    ['::', '1:2:3:4:5:6:7:8', '00000000000000000000000000000000:1F90 02000100040003000600050008000700:D431'],
    [
      '::ffff:10.77.0.1',
      '::ffff:10.77.0.2',
      '0000000000000000FFFF000001004D0A:1F90 0000000000000000FFFF000002004D0A:D431',
    ],
    ['fe80::1%eth0', 'fe80::2', '000080FE000000000000000001000000:1F90 000080FE000000000000000002000000:D431'],
  ])('[D9] of %s to %s has the words of a machine with the lowest byte first', (local, remote, name) => {
    expect(nameOf(ends(local, remote), true)).toBe(name)
    expect(remotePortOf(name)).toBe(54_321)
  })

  it('[D9] of a machine with the highest byte first has them as they are written', () => {
    expect(nameOf(ends('10.77.0.1', '10.77.0.2'), false)).toBe('0A4D0001:1F90 0A4D0002:D431')
    expect(nameOf(ends('::1', '2001:db8::1'), false)).toBe(
      '00000000000000000000000000000001:1F90 20010DB8000000000000000000000001:D431',
    )
  })

  it('[D9] there is none for a socket without addresses', () => {
    expect(nameOf({})).toBeUndefined()
    expect(nameOf({ localAddress: '::1', localPort: 1 })).toBeUndefined()
  })
})
