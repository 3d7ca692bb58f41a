import { readFile } from 'node:fs/promises'

/**
 * How often the kernel has sent something anew because no answer came, for all sockets together. While that number stands still, no peer
 * has fallen silent, and the tables of sockets, which take milliseconds for thousands of streams, need not be read.
 */

/** Retransmissions, also those that could not be sent, and probes of peers without room. */
const COUNTERS = ['RetransSegs', 'TCPTimeouts', 'TCPRetransFail', 'TCPWinProbe']

/** Of the text of `/proc/net/snmp` and `/proc/net/netstat`. Nothing where a counter is missing: then it cannot be told. */
export function triesOf(text: string): number | undefined {
  const values = new Map<string, number>()
  const lines = text.split('\n')
  // Names and values come in pairs of lines, each beginning with the protocol's name.
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const numbers = lines[i + 1]?.split(' ') ?? []
    for (const [at, name] of (lines[i] ?? '').split(' ').entries()) values.set(name, Number(numbers[at]))
  }
  let tries = 0
  for (const name of COUNTERS) tries += values.get(name) ?? Number.NaN
  return Number.isNaN(tries) ? undefined : tries
}

export async function readTries(): Promise<number | undefined> {
  try {
    const texts = await Promise.all([readFile('/proc/net/snmp', 'latin1'), readFile('/proc/net/netstat', 'latin1')])
    return triesOf(texts.join(''))
  } catch {
    return undefined
  }
}
