import type { Clock } from '../seams/ports'

/** A machine that sleeps stops its timers: a long wait looks at the clock this often, in milliseconds. */
const SLICE_MS = 5_000

/** A wait that is under way. */
export interface Alarm {
  /** Milliseconds since it was started or restarted. */
  passedMs(): number
  restart(): void
  cancel(): void
}

/**
 * One wait, by the clock instead of by a timer: time asleep counts, and a clock that is set back costs a slice at most.
 * It can begin anew as often as bytes arrive, without touching a timer.
 */
export function startAlarm(clock: Clock, delayMs: number, task: () => void): Alarm {
  let beforeMs = 0
  let seenAt = clock.now()
  let cancel: () => void
  const sleep = () => {
    // Whole milliseconds: less than one may be nothing to a clock, and would be waited for again and again.
    const sliceMs = Math.ceil(Math.min(delayMs - beforeMs, SLICE_MS))
    cancel = clock.after(sliceMs, () => {
      const now = clock.now()
      beforeMs += now < seenAt ? sliceMs : now - seenAt
      seenAt = now
      if (beforeMs < delayMs) sleep()
      else task()
    })
  }
  sleep()
  return {
    passedMs: () => beforeMs + Math.max(0, clock.now() - seenAt),
    restart() {
      beforeMs = 0
      seenAt = clock.now()
    },
    cancel: () => cancel(),
  }
}
