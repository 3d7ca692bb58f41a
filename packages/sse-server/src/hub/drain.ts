import { quote } from '@entitycast/sse-protocol'
import type { Connection } from '../feed/connection'
import type { Ports } from '../seams/ports'
import { HubError } from './error'

/** How often connections are ended while draining, in milliseconds. */
const WAVE_MS = 50

/**
 * Ends connections in random order, evenly over `drainMs`: each is sent what it may still have, told to come back after a time of its own,
 * and ended. Resolves early when everyone has left.
 */
export async function endInWaves(
  connections: readonly Connection[],
  { clock, random }: Ports,
  { drainMs, retryMs, everyoneLeft }: { drainMs: number; retryMs: number; everyoneLeft: Promise<void> },
): Promise<void> {
  const waiting = shuffle([...connections], random)
  const startedAt = clock.monotonic()
  for (let ended = 0; ended < waiting.length; ) {
    // By the clock, and not by a count of waves: a busy process ends more at a time instead of taking longer.
    const passedMs = clock.monotonic() - startedAt + WAVE_MS
    const due = passedMs >= drainMs ? waiting.length : Math.ceil((passedMs / drainMs) * waiting.length)
    for (const connection of waiting.slice(ended, due)) {
      connection.advance()
      // A retry of its own for each: those that are ended in one wave must not come back in one.
      connection.close('shutdown', Math.round(retryMs * (0.5 + random())))
    }
    ended = Math.max(ended, due)
    if (ended < waiting.length && (await atMost(clock, WAVE_MS, everyoneLeft))) return
  }
}

/**
 * That `close({ drainMs })` will take it: what closes a hub by itself had better know at the start. For authors of mounts.
 *
 * @throws HubError `INVALID_OPTION`
 */
export function assertDrainMs(drainMs: number): void {
  if (Number.isFinite(drainMs) && drainMs >= 0 && drainMs <= 3_600_000) return
  throw new HubError('INVALID_OPTION', `drainMs is ${quote(drainMs)}; it must be 0 to 3,600,000 milliseconds`)
}

/** Waits for the promise, but not for ever: whatever does not answer must not keep a process from ending. Whether it has answered. */
export async function atMost(clock: Ports['clock'], ms: number, promise: Promise<void>): Promise<boolean> {
  let cancel = () => {}
  const deadline = new Promise<boolean>((resolve) => {
    cancel = clock.after(ms, () => resolve(false))
  })
  try {
    return await Promise.race([promise.then(() => true), deadline])
  } finally {
    cancel()
  }
}

function shuffle<Item>(items: Item[], random: () => number): Item[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const item = items[i] as Item
    items[i] = items[j] as Item
    items[j] = item
  }
  return items
}
