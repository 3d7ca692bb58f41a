/*
 * Addresses by the network that one customer has. An IPv4 address is one; of IPv6 even a telephone has 2^64 and takes a new one every day
 * (RFC 6177, RFC 8981), so what is counted is the first half: its /64.
 */

const GROUP = /^[0-9a-f]{1,4}$/
const DOTTED = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
/** What an address of IPv4 comes in: at a socket of IPv6, and from a translator, in whose one /64 all of IPv4 is (RFC 6052). */
const CARRIERS = ['0:0:0:0:0:ffff', '64:ff9b:0:0:0:0']
/** Only on one cable, where nobody is a customer: all hosts there share one /64, which means nothing elsewhere. */
const LINK_LOCAL = 0xfe80
const LINK_LOCAL_BITS = 0xffc0

/**
 * What an address is counted by: the first half of one of IPv6, however it is written; IPv4 as it is, also where it comes in one of IPv6
 * (`::ffff:192.0.2.1`, `64:ff9b::192.0.2.1`). What is neither is whatever the application counts by, and stays what it is.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [text = '', zone] = address.toLowerCase().split('%', 2)
  const groups = groupsOf(text)
  if (!groups) return address
  const [first = 0, , , , , , seventh = 0, eighth = 0] = groups
  if (CARRIERS.includes(hex(groups.slice(0, 6)))) {
    return [seventh >> 8, seventh & 255, eighth >> 8, eighth & 255].join('.')
  }
  if ((first & LINK_LOCAL_BITS) === LINK_LOCAL) return `${hex(groups)}%${zone ?? ''}`
  return `${hex(groups.slice(0, 4))}::/64`
}

/** The eight groups of an address in any of its forms (RFC 4291, section 2.2); nothing for what is none. */
function groupsOf(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [before, after] = halves.map((half, i) => numbersOf(half, i === halves.length - 1))
  if (!before) return undefined
  if (halves.length === 1) return before.length === 8 ? before : undefined
  if (!after || before.length + after.length > 7) return undefined
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

/** Only the end of an address may be written as one of IPv4. */
function numbersOf(half: string, isEnd: boolean): number[] | undefined {
  if (half === '') return []
  const numbers: number[] = []
  const groups = half.split(':')
  for (const [i, group] of groups.entries()) {
    const dotted = isEnd && i === groups.length - 1 ? DOTTED.exec(group) : null
    if (dotted) {
      const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(1).map(Number)
      if (Math.max(a, b, c, d) > 255) return undefined
      numbers.push(a * 256 + b, c * 256 + d)
    } else if (GROUP.test(group)) numbers.push(Number.parseInt(group, 16))
    else return undefined
  }
  return numbers
}

function hex(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':')
}
