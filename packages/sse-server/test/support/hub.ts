import { EventHub, type EventHubOptions, type Logger } from '@entitycast/sse-server'
import { VirtualClock } from './virtual-clock'

/** What a hub told its operator. */
export class RecordingLogger implements Logger {
  readonly lines: { level: 'warn' | 'error'; message: string; details: object | undefined }[] = []

  warn(message: string, details?: object): void {
    this.lines.push({ level: 'warn', message, details })
  }

  error(message: string, details?: object): void {
    this.lines.push({ level: 'error', message, details })
  }
}

/** Numbers that look like chance and are the same each time (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A hub in virtual time, with ids and chance that are the same in each run. */
export function testHub(options: EventHubOptions = {}): {
  hub: EventHub
  clock: VirtualClock
  logger: RecordingLogger
} {
  const clock = new VirtualClock()
  const logger = new RecordingLogger()
  let ids = 0
  const ports = { clock, random: seeded(7), randomId: () => `id-${String(++ids).padStart(6, '0')}` }
  const hub = new EventHub({ logger, ...options, ports: { ...ports, ...options.ports } })
  return { hub, clock, logger }
}

/** What a call threw or rejected with, as far as callers may rely on it. */
export async function codeOf(call: () => unknown): Promise<string | undefined> {
  try {
    await call()
  } catch (error) {
    return (error as { code?: string }).code ?? `no code: ${error}`
  }
  return undefined
}

/** Closes a hub in virtual time, stalled sockets and all. */
export async function end(hub: EventHub, clock: VirtualClock): Promise<void> {
  const closed = hub.close()
  await clock.advance(5_000)
  await closed
}
