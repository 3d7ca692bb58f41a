import type { LogRecord } from '@entitycast/sse-server'
import { weightOf } from '../seams/record-text'

/*
 * A message of the stream: one or more appends, joined. All that is ours is in its body, so that it is the same whether it comes live, or is
 * read from the stream:
 *
 *   1 epoch first count more tag beforeSeq beforeTag trail ⏎  heads of the records, as JSON ⏎  their data, one after the other
 *
 * A tag is a random name. Each message names the one before it on its subject, by its place in the stream and by its tag: whoever has seen
 * that one can tell whether the next belongs to the same history, also where a server has lost the end of its log and given the same places
 * out again. The trail is where the messages before it lie: so reading from a cursor needs one request for every sixteen messages, and no
 * consumer.
 */

/** How many messages a message tells the places of. */
export const TRAIL = 16

/** Where a message lies, how many records it has, and what they count for. */
export interface Step {
  readonly seq: number
  readonly count: number
  readonly weight: number
}

export interface Message {
  readonly epoch: string
  /** Offset of its first record; with none, of the next. */
  readonly first: number
  /** What it is part of goes on in the next message, of the same process. */
  readonly more: boolean
  readonly tag: string
  readonly before: { readonly seq: number; readonly tag: string }
  /** The messages of this epoch before it, newest first. */
  readonly trail: readonly Step[]
  readonly records: readonly LogRecord[]
}

/** A message at its place in the stream. */
export interface Stored extends Message {
  readonly seq: number
  /** When the server stored it, by its clock, in milliseconds. */
  readonly at: number
  /** The last message of the subject, where messages follow that do not count. */
  readonly tail?: number
}

/** What of a message is needed to write the next one. */
export type Head = Omit<Stored, 'records'> & { readonly count: number; readonly weight: number }

const LINE =
  /^1 ([\w-]{8,100}) ([1-9]\d{0,15}) (0|[1-9]\d{0,8}) ([01]) ([\w-]{8,100}) (0|[1-9]\d{0,15}) ([\w-]{1,100}) ([\d a-z.,-]+)$/

const decoder = new TextDecoder('utf-8', { fatal: true })

export function headOf({ records, ...message }: Stored): Head {
  return { ...message, count: records.length, weight: records.reduce((sum, record) => sum + weightOf(record), 0) }
}

/** The offset of the newest record, with this message at the end. */
export function offsetOf({ first, count }: Pick<Head, 'first' | 'count'>): number {
  return first + count - 1
}

/** The message that comes after another one of its epoch; after none, or after that of a lost one, it begins an epoch. */
export function follow(
  head: Head | undefined,
  epoch: string,
  tag: string,
  records: readonly LogRecord[],
  more = false,
): Message {
  if (head?.epoch !== epoch) {
    return { epoch, first: 1, more, tag, before: { seq: head?.seq ?? 0, tag: '-' }, trail: [], records }
  }
  const { seq, count, weight } = head
  const trail = [{ seq, count, weight }, ...head.trail].slice(0, TRAIL)
  return { epoch, first: head.first + count, more, tag, before: { seq, tag: head.tag }, trail, records }
}

export function encodeMessage({ epoch, first, more, tag, before, trail, records }: Message): Uint8Array {
  let newer = before.seq
  const steps = trail.map(({ seq, count, weight }) => {
    const step = [newer - seq, count, weight].map((number) => number.toString(36)).join('.')
    newer = seq
    return step
  })
  const datas: string[] = []
  const heads = records.map(({ type, data, channel, users, key }) => {
    // Half of a surrogate pair is no UTF-8: such text goes as JSON, which is told by the sign of its length.
    const isPlain = !/\p{Surrogate}/u.test(data)
    const text = isPlain ? data : JSON.stringify(data)
    datas.push(text)
    return [type, channel, users ?? 0, key ?? 0, Buffer.byteLength(text) * (isPlain ? 1 : -1)]
  })
  const line = [1, epoch, first, records.length, more ? 1 : 0, tag, before.seq, before.tag, steps.join(',') || '-']
  return Buffer.from(`${line.join(' ')}\n${JSON.stringify(heads)}\n${datas.join('')}`)
}

/** `undefined` for what is no message of ours. */
export function decodeMessage(body: Uint8Array): Message | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const lineEnd = bytes.indexOf(10)
  const headsEnd = bytes.indexOf(10, lineEnd + 1)
  if (lineEnd < 0 || headsEnd < 0) return undefined
  const match = LINE.exec(bytes.toString('latin1', 0, lineEnd))
  if (!match) return undefined
  const [, epoch = '', first, count, more, tag = '', seq, beforeTag = '', steps = ''] = match
  const before = { seq: Number(seq), tag: beforeTag }
  const trail = decodeTrail(steps, before.seq)
  const records = decodeRecords(bytes, lineEnd + 1, headsEnd)
  if (!trail || records?.length !== Number(count)) return undefined
  return { epoch, first: Number(first), more: more === '1', tag, before, trail, records }
}

function decodeTrail(text: string, newest: number): Step[] | undefined {
  if (text === '-') return []
  const steps: Step[] = []
  let newer = newest
  for (const part of text.split(',')) {
    const [distance = Number.NaN, count = Number.NaN, weight = Number.NaN] = part
      .split('.')
      .map((digits) => Number.parseInt(digits, 36))
    newer -= distance
    if (!(newer > 0 && count >= 0 && weight >= 0) || steps.length === TRAIL) return undefined
    steps.push({ seq: newer, count, weight })
  }
  return steps
}

function decodeRecords(bytes: Buffer, start: number, headsEnd: number): LogRecord[] | undefined {
  try {
    const heads: unknown = JSON.parse(decoder.decode(bytes.subarray(start, headsEnd)))
    if (!Array.isArray(heads)) return undefined
    const records: LogRecord[] = []
    let at = headsEnd + 1
    for (const head of heads) {
      if (!Array.isArray(head) || head.length !== 5) return undefined
      const [type, channel, users, key, length] = head
      if (typeof type !== 'string' || typeof channel !== 'string' || !Number.isInteger(length)) return undefined
      if (users !== 0 && !(Array.isArray(users) && users.every((user) => typeof user === 'string'))) return undefined
      if (key !== 0 && typeof key !== 'string') return undefined
      const end = at + Math.abs(length)
      if (end > bytes.length) return undefined
      // Not the decoder, which takes a byte order mark away.
      const text = bytes.toString('utf8', at, end)
      const data: unknown = length < 0 ? JSON.parse(text) : text
      if (typeof data !== 'string') return undefined
      at = end
      records.push({ type, data, channel, ...(users !== 0 && { users }), ...(key !== 0 && { key }) })
    }
    return at === bytes.length ? records : undefined
  } catch {
    return undefined
  }
}
