import { fileURLToPath } from 'node:url'

/** What the environment may set. Every duration is in milliseconds. */
export interface Config {
  /** `HOST`. Loopback by default: the demonstration's passwords are public. */
  host: string
  /** `PORT` */
  port: number
  /** `DATA_DIR`: the database and the key that signs the session cookies. */
  dataDir: string
  /** The built page. */
  webDir: string
  /** `FF_SSE_UPDATES`: whether pages listen, or offer a reload button. */
  sseUpdates: boolean
  /** `REMINDER_INTERVAL_MS`; 0: only by the button. */
  reminderIntervalMs: number
  /** `LOCK_TTL_MS`: a lock that its page does not renew for so long is released. */
  lockTtlMs: number
  /** `SESSION_TTL_MS` */
  sessionTtlMs: number
  /** `DRAIN_MS`: how long the streams' reconnects are spread over at shutdown. */
  drainMs: number
  /** `REDIS_URL`: what several instances share. Absent: one instance, with the log in its memory. */
  redisUrl: string | undefined
}

/** From `dist/server` and from `server` alike. */
const example = fileURLToPath(new URL(import.meta.url.includes('/dist/server/') ? '../..' : '..', import.meta.url))

/** A timer that is set for longer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export function readConfig(env: NodeJS.ProcessEnv): Config {
  return {
    host: env.HOST || '127.0.0.1',
    port: wholeNumber(env, 'PORT', 4320),
    dataDir: env.DATA_DIR || `${example}/data`,
    webDir: `${example}/dist/web`,
    sseUpdates: flag(env, 'FF_SSE_UPDATES', true),
    reminderIntervalMs: wholeNumber(env, 'REMINDER_INTERVAL_MS', 60 * 60 * 1000),
    lockTtlMs: wholeNumber(env, 'LOCK_TTL_MS', 30_000),
    sessionTtlMs: wholeNumber(env, 'SESSION_TTL_MS', 12 * 60 * 60 * 1000),
    drainMs: wholeNumber(env, 'DRAIN_MS', 3_000),
    redisUrl: env.REDIS_URL || undefined,
  }
}

function wholeNumber(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name]
  if (!text) return fallback
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0 && value <= LONGEST_TIMER_MS) return value
  throw new Error(`${name} is ${JSON.stringify(text)}; it must be a whole number from 0 to ${LONGEST_TIMER_MS}`)
}

function flag(env: NodeJS.ProcessEnv, name: string, fallback: boolean): boolean {
  const text = env[name]?.toLowerCase()
  if (!text) return fallback
  if (['on', 'true', '1'].includes(text)) return true
  if (['off', 'false', '0'].includes(text)) return false
  throw new Error(`${name} is ${JSON.stringify(text)}; it must be on or off`)
}
