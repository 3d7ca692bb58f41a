import { encodeMessage, type Head, headOf, type Message, offsetOf, type Step, type Stored, TRAIL } from './nats-message'
import { NoAnswer, type Wire } from './nats-wire'

/*
 * One subject of the stream. Every request is answered by the stream's leader: what was accepted is in the answer.
 *
 * The server takes a message only if the one that it was written for is the last. A cluster looks at that before it has agreed on what came
 * meanwhile, so that two writers at one moment, or a change of the leader, may get two messages in after the same one. Therefore the order of
 * the stream decides: of all messages that name the same one before them the first counts, and the others are nobody's. Who writes to a
 * stream of several copies looks whether it was the first before it says so.
 */

/** Messages that are fetched at a time. */
const TOGETHER = 32

/** The epoch of what is no message of ours: whoever finds that at the end begins a new one. */
export const FOREIGN = '-'

/** The newest message that counts. `undefined`: there is none. */
export async function newest(wire: Wire, subject: string): Promise<Stored | undefined> {
  const last = await wire.last(subject)
  if (!last || !wire.isReplicated || last.epoch === FOREIGN) return last
  let head: Stored | undefined
  let { seq } = last.before
  for (let at = seq + 1; ; ) {
    const next = await wire.from(subject, at)
    if (!next || next.seq > last.seq) break
    if (next.before.seq === seq && (!head || next.before.tag === '-' || next.before.tag === head.tag)) {
      head = next
      seq = next.seq
    }
    if (next.seq === last.seq) break
    at = next.seq + 1
  }
  return head && { ...head, tail: last.seq }
}

/** The first message that names this one before it: the one that counts. `gone`: what followed is not there any more. */
export async function followerOf(wire: Wire, subject: string, seq: number): Promise<Stored | 'gone' | undefined> {
  for (let at = seq + 1; ; ) {
    const next = await wire.from(subject, at)
    if (!next) return undefined
    if (next.before.seq === seq) return next
    if (next.before.seq > seq) return 'gone'
    at = next.seq + 1
  }
}

/** Adds a message, and says where it lies; `undefined` where another one came before it. `tail`: the last of the subject, whether it counts or not. */
export async function add(wire: Wire, subject: string, message: Message, tail: number): Promise<number | undefined> {
  const seq = await wire.publish(subject, encodeMessage(message), tail, message.tag)
  if (seq === undefined || !wire.isReplicated) return seq
  const first = await followerOf(wire, subject, message.before.seq)
  // It was taken, and is not there: whoever leads now does not know all yet.
  if (first === undefined || first === 'gone') throw new NoAnswer(false, 'a leader that does not know all yet')
  return first.tag === message.tag ? seq : undefined
}

/** What has been seen of a log. */
export interface Seen {
  readonly epoch: string
  /** The newest offset. */
  readonly offset: number
  /** Where the message that has it lies, or one without records after it. */
  readonly seq: number
  readonly tag: string
}

export function seenOf(message: Stored | Head): Seen {
  const count = 'records' in message ? message.records.length : message.count
  return { epoch: message.epoch, offset: message.first + count - 1, seq: message.seq, tag: message.tag }
}

/** What is known of the end of a log, compared with what was seen before. `unknown`: more was written since than its trail tells of. */
export function compare(last: Stored | Head, seen: Seen): 'same' | 'later' | 'unknown' | 'lost' | 'epoch' {
  if (last.epoch !== seen.epoch) return last.epoch === FOREIGN ? 'lost' : 'epoch'
  if (last.seq === seen.seq) return last.tag === seen.tag ? 'same' : 'lost'
  if (last.seq < seen.seq) return 'lost'
  if (last.before.seq === seen.seq) return last.before.tag === seen.tag ? 'later' : 'lost'
  const oldest = last.trail.at(-1)
  if (oldest && oldest.seq <= seen.seq) return last.trail.some(({ seq }) => seq === seen.seq) ? 'later' : 'lost'
  return last.trail.length < TRAIL ? 'lost' : 'unknown'
}

/** A step, and the offset of its first record. */
export interface Place extends Step {
  readonly first: number
}

/**
 * The messages of an epoch from one that satisfies `isEnough`, or the oldest, to the last, oldest first. `undefined`: they are gone before that one
 * is reached.
 */
export async function walk(
  wire: Wire,
  last: Stored,
  isEnough: (place: Place, weight: number) => boolean,
): Promise<Place[] | undefined> {
  const { count, weight, first } = headOf(last)
  const places: Place[] = [{ seq: last.seq, count, weight, first }]
  let total = weight
  for (let message = last; ; ) {
    for (const step of message.trail) {
      const newer = places.at(-1) as Place
      if (isEnough(newer, total)) return places.reverse()
      places.push({ ...step, first: newer.first - step.count })
      total += step.weight
    }
    const oldest = places.at(-1) as Place
    if (isEnough(oldest, total) || message.trail.length < TRAIL) return places.reverse()
    const next = await wire.at(oldest.seq)
    if (next?.epoch !== last.epoch || next.first !== oldest.first) return undefined
    message = next
  }
}

/** The messages at these places, as far as they are still there and follow each other. */
export async function fetchAll(
  wire: Wire,
  { epoch }: { epoch: string },
  places: readonly Place[],
  isEnough: (records: number, weight: number) => boolean,
  known?: Stored,
): Promise<Stored[]> {
  const messages: Stored[] = []
  let records = 0
  let weight = 0
  for (let i = 0; i < places.length; i += TOGETHER) {
    let take = 0
    for (const place of places.slice(i, i + TOGETHER)) {
      if (take > 0 && isEnough(records, weight)) break
      records += place.count
      weight += place.weight
      take++
    }
    const wanted = places.slice(i, i + take)
    const found = await Promise.all(wanted.map(({ seq }) => (seq === known?.seq ? known : wire.at(seq))))
    for (const [n, message] of found.entries()) {
      const before = messages.at(-1)
      const fits =
        message?.epoch === epoch &&
        message.first === wanted[n]?.first &&
        (!before || (message.before.seq === before.seq && message.before.tag === before.tag))
      if (!fits) return messages
      messages.push(message)
    }
    if (isEnough(records, weight)) break
  }
  return messages
}

/** What was found after what was seen. `lost`: the log does not hold it any more, or holds something else there. */
export interface Found {
  readonly what: 'ok' | 'epoch' | 'expired' | 'lost'
  /** The end. Absent: nothing is there. */
  readonly last: Stored | undefined
  /** What follows what was seen, oldest first; perhaps not up to the end. */
  readonly messages: readonly Stored[]
}

/** What lies after what was seen, a page of it. */
export async function findAfter(
  wire: Wire,
  subject: string,
  seen: Seen,
  most: number,
  mostWeight: number,
): Promise<Found> {
  const last = await newest(wire, subject)
  const answer = (what: Found['what'], messages: readonly Stored[] = []): Found => ({ what, last, messages })
  if (!last) return answer('lost')
  switch (compare(last, seen)) {
    case 'same':
      return answer('ok')
    case 'lost':
      return answer('lost')
    case 'epoch':
      return answer('epoch')
  }
  const places = await walk(wire, last, ({ seq }) => seq <= seen.seq || last.before.seq === seen.seq)
  if (!places) return answer('expired')
  const [oldest] = places
  if (oldest && oldest.seq !== seen.seq && last.before.seq !== seen.seq) return answer('lost')
  const later = places.filter(({ seq }) => seq > seen.seq)
  const messages = await fetchAll(wire, seen, later, (records, weight) => records >= most || weight >= mostWeight, last)
  const [next] = messages
  if (!next) return answer('expired')
  if (next.before.seq !== seen.seq || next.before.tag !== seen.tag) return answer('lost')
  return answer('ok', messages)
}

export interface Kept {
  readonly ageMs: number
  readonly events: number
  readonly bytes: number
}

/** The records after a cursor, within what is retained. */
export async function readAfter(
  wire: Wire,
  subject: string,
  after: { epoch: string; offset: number },
  limit: number,
  mostWeight: number,
  { ageMs, events, bytes }: Kept,
): Promise<{ gap: 'epoch' | 'ahead' | 'expired' } | { messages: readonly Stored[] }> {
  const last = await newest(wire, subject)
  if (last?.epoch !== after.epoch) return { gap: 'epoch' }
  const head = offsetOf(headOf(last))
  if (after.offset > head) return { gap: 'ahead' }
  if (after.offset === head) return { messages: [] }
  if (after.offset < head - events) return { gap: 'expired' }
  // Of the newest all are given, however large they are.
  const newestSeq = last.records.length > 0 ? last.seq : (last.trail.find(({ count }) => count > 0)?.seq ?? last.seq)
  let isTooMuch = false
  const places = await walk(wire, last, ({ first, seq }, weight) => {
    isTooMuch ||= weight > bytes && seq < newestSeq
    return isTooMuch || first <= after.offset + 1
  })
  if (!places || isTooMuch || (places[0]?.first ?? 0) > after.offset + 1) return { gap: 'expired' }
  const wanted = places.filter(({ first, count }) => first + count - 1 > after.offset)
  const skipped = after.offset + 1 - (wanted[0]?.first ?? 0)
  const isEnough = (records: number, weight: number) => records - skipped >= limit || weight >= mostWeight
  const messages = await fetchAll(wire, last, wanted, isEnough, last)
  const [first] = messages
  if (!first || first.at < Date.now() - ageMs) return { gap: 'expired' }
  return { messages }
}
