import { ProtocolError, quote } from './error'

/** One block of an event stream, before it is text. */
export interface Frame {
  /** The `event:` line. */
  event?: string
  /** The `id:` line: the cursor. */
  id?: string
  /** The `retry:` line, in milliseconds. */
  retry?: number
  /** The `data:` lines; a line break inside it starts another one. */
  data?: string
  /** Lines that parsers ignore. */
  comment?: string
}

const BREAK = /\r\n|\r|\n/
const FORBIDDEN = /[\r\n\0]/

/**
 * The text of a frame, as https://html.spec.whatwg.org/multipage/server-sent-events.html reads it. Nothing can be injected:
 * an `event` or `id` with CR, LF or NUL is refused, `data` and `comment` are split at every kind of line break.
 *
 * @throws ProtocolError `INVALID_FRAME`
 * @example
 * encodeFrame({ event: 'heartbeat', id: 'k3J9xQ.42', data: '{}' }) // 'event: heartbeat\nid: k3J9xQ.42\ndata: {}\n\n'
 */
export function encodeFrame(frame: Frame): string {
  let text = ''
  if (frame.comment !== undefined) for (const line of frame.comment.split(BREAK)) text += `:${line}\n`
  if (frame.event !== undefined) text += `event: ${single('event', frame.event)}\n`
  if (frame.id !== undefined) text += `id: ${single('id', frame.id)}\n`
  if (frame.retry !== undefined) {
    if (!Number.isSafeInteger(frame.retry) || frame.retry < 0) {
      throw new ProtocolError(
        'INVALID_FRAME',
        `retry is ${quote(frame.retry)}; it must be a whole number of milliseconds`,
      )
    }
    text += `retry: ${frame.retry}\n`
  }
  if (frame.data !== undefined) {
    // One line of JSON is what nearly every frame carries.
    if (!frame.data.includes('\n') && !frame.data.includes('\r')) return `${text}data: ${frame.data}\n\n`
    for (const line of frame.data.split(BREAK)) text += `data: ${line}\n`
  }
  return `${text}\n`
}

function single(field: string, value: string): string {
  if (FORBIDDEN.test(value))
    throw new ProtocolError('INVALID_FRAME', `${field} is ${quote(value)}; it must not hold CR, LF or NUL`)
  return value
}
