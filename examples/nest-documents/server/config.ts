import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The example's folder, seen from `dist/server`. */
export const EXAMPLE_DIR = fileURLToPath(new URL('../../', import.meta.url))

export const CONFIG = Symbol('CONFIG')

export interface Config {
  host: string
  /** 0: any free port. */
  port: number
  dataDir: string
  heartbeatIntervalMs: number
  /** What a page waits at least before it reconnects. */
  reconnectTimeoutMs: number
  /** How long one chunk takes, in place of a model's latency. */
  embeddingDelayMs: number
  /** Documents that are embedded side by side. */
  embeddingConcurrency: number
  accessTokenTtlS: number
  /** A Redis that several instances share; absent: one instance, with the log in its memory. */
  redisUrl: string | undefined
}

export function readConfig(env: NodeJS.ProcessEnv): Config {
  return {
    host: env.HOST || '127.0.0.1',
    port: whole(env, 'PORT', 4310, 0, 65_535),
    dataDir: resolve(env.DATA_DIR || `${EXAMPLE_DIR}data`),
    heartbeatIntervalMs: whole(env, 'SSE_HEARTBEAT_INTERVAL_MS', 15_000, 100, 300_000),
    reconnectTimeoutMs: whole(env, 'SSE_RECONNECT_TIMEOUT_MS', 1_000, 0, 300_000),
    embeddingDelayMs: whole(env, 'EMBEDDING_DELAY_MS', 800, 0, 60_000),
    embeddingConcurrency: whole(env, 'EMBEDDING_CONCURRENCY', 3, 1, 16),
    accessTokenTtlS: whole(env, 'ACCESS_TOKEN_TTL_S', 900, 5, 86_400),
    redisUrl: env.REDIS_URL || undefined,
  }
}

function whole(env: NodeJS.ProcessEnv, name: string, fallback: number, min: number, max: number): number {
  const text = env[name]
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new Error(`${name} is ${JSON.stringify(text)}; it must be a whole number from ${min} to ${max}`)
  }
  return value
}
