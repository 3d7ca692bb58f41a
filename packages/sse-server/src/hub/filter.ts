import { quote } from '@entitycast/sse-protocol'
import type { ConnectionFilter } from '../feed/connection'
import { HubError } from './error'

const FIELDS = ['projectId', 'userId', 'connectionId']

/**
 * That a filter names somebody: it never means everyone.
 *
 * @throws HubError `INVALID_FILTER`
 */
export function assertFilter(filter: ConnectionFilter): void {
  assertFields(filter)
  if (Object.keys(filter).length === 0) throw invalid('nothing')
}

/**
 * That what a filter names is text. A field that is there and undefined is somebody's mistake, and leaving it out would mean more streams than
 * were meant: those of every project instead of one.
 *
 * @throws HubError `INVALID_FILTER`
 */
export function assertFields(filter: ConnectionFilter): void {
  if (typeof filter !== 'object' || filter === null) throw invalid(quote(filter))
  const given = Object.entries(filter)
  const known = given.every(([name, value]) => FIELDS.includes(name) && typeof value === 'string' && value !== '')
  if (!known) throw invalid(given.map(([name, value]) => `${name} ${quote(value)}`).join(', '))
}

function invalid(what: string): HubError {
  return new HubError('INVALID_FILTER', `the filter names ${what}; name a projectId, userId or connectionId as text`)
}
