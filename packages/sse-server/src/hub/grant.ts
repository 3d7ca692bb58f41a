import { assertChannel, assertProjectId, assertUserId, quote } from '@entitycast/sse-protocol'
import type { Clock } from '../seams/ports'
import { HubError } from './error'

/**
 * What `authorize` allows: which project's events, as whom, on which channels, until when. An event reaches the connection only if
 * this covers it.
 */
export interface Grant {
  /** The project whose events may be seen. */
  projectId: string
  /** Who it is: for audiences, presence, `activeUsers`, `disconnect`, `revoke` and the limit per user. */
  userId?: string | undefined
  /** The channels that may be seen; `default` is the channel of events that name none. Default `'all'`. */
  channels?: 'all' | readonly string[] | undefined
  /** When it ends, in milliseconds since 1970. The client then fetches fresh headers and resumes. Default: never. */
  expiresAt?: number | undefined
}

const FIELDS = ['projectId', 'userId', 'channels', 'expiresAt'] as const
const MEANT = new Map(FIELDS.map((name) => [plain(name), name]))

/** However it is written: `user_id`, `userID`, `channel`, `reauthorise`. */
export function plain(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z]/g, '')
    .replace(/ise$/, 'ize')
    .replace(/s$/, '')
}

/**
 * TypeScript finds no misspelt field in what a function returns, and `channel: ['a']` would be every channel. What else is in the object is
 * the application's: often it is the token's content.
 */
function assertFields(grant: Grant): void {
  if (typeof grant !== 'object') {
    throw new Error(
      `authorize returned ${quote(grant)}; a grant is { ${FIELDS.join(', ')} }, of which projectId must be there`,
    )
  }
  for (const name in grant) {
    if (name === 'projectId' || name === 'userId' || name === 'channels' || name === 'expiresAt') continue
    const meant = MEANT.get(plain(name))
    if (meant !== undefined && grant[meant] === undefined) {
      throw new Error(`${quote(name)} is not a field of a grant; did you mean ${meant}?`)
    }
  }
}

/** @throws HubError `BAD_GRANT`: a program's mistake, so the reason is for its log and not for the client */
export function readGrant(grant: Grant): Grant {
  try {
    assertFields(grant)
    assertProjectId(grant.projectId)
    if (grant.userId !== undefined) assertUserId(grant.userId)
    if (grant.channels !== undefined && grant.channels !== 'all') {
      if (!Array.isArray(grant.channels))
        throw new Error(`channels is ${quote(grant.channels)}; it must be 'all' or an array`)
      for (const channel of grant.channels) assertChannel(channel)
    }
    if (grant.expiresAt !== undefined && !Number.isFinite(grant.expiresAt)) {
      throw new Error(`expiresAt is ${quote(grant.expiresAt)}; it must be milliseconds since 1970`)
    }
    if (isInSeconds(grant.expiresAt)) {
      throw new Error(`expiresAt is ${grant.expiresAt}, which looks like seconds; it must be milliseconds: exp * 1000`)
    }
    return grant
  } catch (cause) {
    throw new HubError('BAD_GRANT', 'The server could not grant access', { cause })
  }
}

/** How long it lasts from now on, in milliseconds; infinite where it has no end. @throws HubError `UNAUTHORIZED` */
export function lifetimeOf({ expiresAt }: Grant, clock: Pick<Clock, 'now'>): number {
  const lifetimeMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt - clock.now()
  if (lifetimeMs <= 0) throw new HubError('UNAUTHORIZED', 'The grant has expired')
  return lifetimeMs
}

/** A token's `exp` as it is: from 2001 on in seconds, and 1970 to 1973 in milliseconds. */
function isInSeconds(expiresAt: number | undefined): boolean {
  return expiresAt !== undefined && expiresAt >= 1e9 && expiresAt < 1e11
}

/**
 * The channels a connection reads, as they are now: those that were asked for, or all that the grant covers. `undefined` is every channel.
 *
 * @throws HubError `CHANNEL_FORBIDDEN`
 */
export function grantedChannels(grant: Grant, asked: readonly string[] | undefined): readonly string[] | undefined {
  const granted = grant.channels === 'all' ? undefined : grant.channels
  if (!asked) return granted && [...granted]
  const forbidden = granted && asked.find((channel) => !granted.includes(channel))
  if (forbidden !== undefined)
    throw new HubError('CHANNEL_FORBIDDEN', `The channel ${quote(forbidden)} is not open to you`)
  return asked
}
