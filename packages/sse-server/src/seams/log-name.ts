import { channelName } from '@entitycast/sse-protocol'

/*
 * Hubs speak to each other through logs of the very adapter that carries events. Their ids begin with U+0001, which no project id of the
 * protocol may hold: no application can name one, and no reader can be granted one.
 */

const OURS = '\u0001'

/** Where the hubs of a cluster speak to each other. */
export const CONTROL_LOG = `${OURS}hub`

/** Where they agree on who is present in a project. Longer than a project id may be: up to 266 bytes. */
export function presenceLog(projectId: string): string {
  return `${OURS}presence/${projectId}`
}

/**
 * The name of a log as brokers use it, in an alphabet that none of them minds: `channelName` for a project, `events.%01…` for the hub's own logs.
 * No two logs have one name. For authors of adapters.
 *
 * @throws ProtocolError `INVALID_PROJECT_ID`
 * @example
 * logName('proj_123') // 'events.proj_123'
 */
export function logName(projectId: string): string {
  if (!projectId.startsWith(OURS)) return channelName(projectId)
  const encoded = encodeURIComponent(projectId).replace(
    /[.!~*'()]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `events.${encoded}`
}
