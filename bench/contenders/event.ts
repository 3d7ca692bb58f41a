/** One event, the same for every server in the table: what it is about, and a mark that the load generator finds without parsing. */
export interface BenchEvent {
  readonly number: number
  readonly entity: string
  readonly id: string
  readonly data: { readonly mark: string; readonly title: string }
}

/** The name that every server gives the event on its stream. */
export const EVENT_NAME = 'entity.updated'
/** Length of a whole SSE frame with such an event, in bytes: that of a usual change of a row. */
export const FRAME_BYTES = 264

const TITLE = 'x'.repeat(68)

/** `@<number>@<microseconds of the monotonic clock>@`, as `c/load.c` reads it. */
export function markOf(number: number): string {
  const [seconds, nanos] = process.hrtime()
  const micros = String(seconds * 1_000_000 + Math.floor(nanos / 1_000))
  return `@${String(number).padStart(8, '0')}@${micros.padStart(15, '0')}@`
}

export function benchEvent(number: number, mark = markOf(number)): BenchEvent {
  return { number, entity: 'document', id: `doc_${String(number).padStart(8, '0')}`, data: { mark, title: TITLE } }
}

const EPOCH = 'k3J9xQmB7sTzL2vR'

/** An id as a server with cursors would write it. */
export function idOf(event: BenchEvent): string {
  return `${EPOCH}.${event.number}`
}

/** What the peers put into `data:`: the fields that ours puts there. */
export function payloadOf({ entity, id, data }: BenchEvent): object {
  return { entity, id, data, timestamp: new Date().toISOString() }
}

/** The whole frame, for servers that write text. */
export function frameOf(event: BenchEvent): string {
  return `event: ${EVENT_NAME}\nid: ${idOf(event)}\ndata: ${JSON.stringify(payloadOf(event))}\n\n`
}

/** A heartbeat as a server with cursors writes it. */
export function heartbeatOf(): string {
  return `event: heartbeat\nid: ${EPOCH}.0\ndata: ${JSON.stringify({ timestamp: new Date().toISOString() })}\n\n`
}
