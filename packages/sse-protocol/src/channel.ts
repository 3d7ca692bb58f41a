import { ProtocolError } from './error'
import { assertChannel, assertProjectId, isChannel, isId } from './name'

/**
 * The name of a project's events (`events.<projectId>`) or of one channel of them (`events.<projectId>.<channel>`),
 * as brokers and event emitters use it. Whatever is not `A-Z a-z 0-9 _ -` is percent-encoded (UTF-8, upper-case hex), so that no two pairs give one name.
 *
 * @throws ProtocolError `INVALID_PROJECT_ID`, `INVALID_CHANNEL`
 * @example
 * channelName('proj_123')               // 'events.proj_123'
 * channelName('proj_123', 'validation') // 'events.proj_123.validation'
 * channelName('a.b')                    // 'events.a%2Eb'
 */
export function channelName(projectId: string, channel?: string): string {
  assertProjectId(projectId)
  if (channel === undefined) return `events.${encodePart(projectId)}`
  assertChannel(channel)
  return `events.${encodePart(projectId)}.${encodePart(channel)}`
}

/**
 * The pair that `channelName` was given; `null` for any other text, also for one that decodes to a pair but is not how we write it.
 *
 * @example
 * parseChannelName('events.a%2Eb.locks') // { projectId: 'a.b', channel: 'locks' }
 * parseChannelName('events.a%2eb')       // null: lower-case hex is not how it is written
 */
export function parseChannelName(name: string): { projectId: string; channel?: string } | null {
  if (typeof name !== 'string' || name.length > 2048) return null
  const parts = name.split('.')
  if (parts[0] !== 'events' || parts.length < 2 || parts.length > 3) return null
  const projectId = decodePart(parts[1]!)
  if (projectId === null || !isId(projectId)) return null
  if (parts.length === 2) return { projectId }
  const channel = decodePart(parts[2]!)
  return channel !== null && isChannel(channel) ? { projectId, channel } : null
}

/**
 * The channels of a comma-separated list, as in `?channels=validation,notifications`: trimmed, without repeats, in order.
 *
 * @throws ProtocolError `INVALID_CHANNEL` for an empty list, an empty name, a name outside the alphabet, more than 100 names
 */
export function parseChannelList(list: string): string[] {
  const names = [...new Set(list.split(',').map((name) => name.trim()))]
  if (names.length > 100) {
    throw new ProtocolError(
      'INVALID_CHANNEL',
      `channels names ${names.length} channels; name at most 100, or ask for all by leaving it out`,
    )
  }
  for (const name of names) assertChannel(name)
  return names
}

const PLAIN = /^[A-Za-z0-9_-]+$/

function encodePart(part: string): string {
  if (PLAIN.test(part)) return part
  return encodeURIComponent(part).replace(/[.!~*'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function decodePart(part: string): string | null {
  try {
    const text = decodeURIComponent(part)
    return encodePart(text) === part ? text : null
  } catch {
    return null
  }
}
