import { quote } from '@entitycast/sse-protocol'
import type { ConnectionFilter } from '../feed/connection'
import { HubError } from './error'

/**
 * That a filter names somebody: it never means everyone.
 *
 * @throws HubError `INVALID_FILTER`
 */
export function assertFilter(filter: ConnectionFilter): void {
  // A field that is there and undefined is somebody's mistake, and leaving it out would end more streams than were meant.
  const given = Object.entries(filter ?? {})
  const known = given.every(
    ([name, value]) =>
      ['projectId', 'userId', 'connectionId'].includes(name) && typeof value === 'string' && value !== '',
  )
  if (given.length === 0 || !known) {
    throw new HubError(
      'INVALID_FILTER',
      `the filter names ${given.map(([name, value]) => `${name} ${quote(value)}`).join(', ') || 'nothing'}; name a projectId, userId or connectionId as text`,
    )
  }
}
