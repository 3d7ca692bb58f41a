import { readFile } from 'node:fs/promises'
import { release } from 'node:os'

/**
 * How often the kernel has sent something anew because no answer came in time, for all sockets together. While that number stands still,
 * no peer has fallen silent, and the tables of sockets, which take milliseconds for thousands of streams, need not be read.
 */

/** What a kernel counts, and in which files. */
export interface TriesCounters {
  readonly files: readonly string[]
  readonly names: readonly string[]
}

/** Exactly what the tables call attempts: timers that ran out without an answer, and probes of peers without room. */
const TIMEOUTS: TriesCounters = { files: ['/proc/net/netstat'], names: ['TCPTimeouts', 'TCPWinProbe'] }
/**
 * Kernels before 5.1 leave out timeouts after the first. Everything that was sent again says more than is asked for: also what was sent
 * early, to learn sooner of a loss, which happens wherever an acknowledgement takes its time.
 */
const ALL_SENT_AGAIN: TriesCounters = {
  files: ['/proc/net/snmp', '/proc/net/netstat'],
  names: ['RetransSegs', 'TCPTimeouts', 'TCPRetransFail', 'TCPWinProbe'],
}

/** By what the kernel calls itself, such as `6.1.0-18-amd64`. Only from 5.4 on is it sure: others before have parts of it. */
export function countersOf(kernel: string): TriesCounters {
  const [major = 0, minor = 0] = kernel.split('.').map(Number)
  return major > 5 || (major === 5 && minor >= 4) ? TIMEOUTS : ALL_SENT_AGAIN
}

/** The sum of these counters in the text of their files. Nothing where one is missing: then it cannot be told. */
export function triesOf(text: string, names: readonly string[]): number | undefined {
  let tries = 0
  for (const name of names) tries += counterOf(text, name) ?? Number.NaN
  return Number.isNaN(tries) ? undefined : tries
}

/** Names and values come in pairs of lines, each beginning with the protocol's name. */
function counterOf(text: string, name: string): number | undefined {
  const at = new RegExp(` ${name}(?= |\\n)`).exec(text)?.index
  if (at === undefined) return undefined
  const place = text.slice(text.lastIndexOf('\n', at) + 1, at).split(' ').length
  const values = text.indexOf('\n', at) + 1
  return Number(text.slice(values, text.indexOf('\n', values)).split(' ')[place])
}

const counters = countersOf(release())

export async function readTries(): Promise<number | undefined> {
  try {
    const texts = await Promise.all(counters.files.map((file) => readFile(file, 'latin1')))
    return triesOf(texts.join(''), counters.names)
  } catch {
    return undefined
  }
}
