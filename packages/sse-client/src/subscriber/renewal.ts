import type { ConnectedData } from '@entitycast/sse-protocol'
import { type Alarm, startAlarm } from '../retry/alarm'
import type { Ports } from '../seams/ports'
import { type Attempt, type Outcome, startAttempt } from './attempt'
import type { StreamFrame } from './parser'
import type { Settings } from './request'

/** Whose stream is renewed. */
export interface RenewableReader {
  /** The cursor that the next stream can go on at, for this user; none where that could not be shown. */
  renewable(identity: string | undefined): string | undefined
  /** The first frame of the next stream. Where it goes on at that cursor, it is the stream from here on. */
  renew(frame: StreamFrame): ConnectedData | undefined
}

export interface Renewal {
  /** What is read of the old stream waits for this. */
  hold: Promise<void> | undefined
  /** The old stream goes on, if it still does. */
  cancel(): void
}

/** The most that a grant has left when it is renewed, in milliseconds; of a short one a quarter. */
const LEAD_MS = 60_000
/** A grant that is shorter ends before its headers are there. */
const SHORTEST_MS = 1_000
const HEADERS_MS = 10_000
/** So long nothing is read from the old stream while the next one is asked for: a browser that has no connection left asks in vain. */
const HOLD_MS = 3_000

/**
 * The next stream before the grant of this one ends: make before break, once a stream. From when the request leaves until it is answered
 * the old stream is not read, so that the cursor that was sent is where it stands: the next stream goes on right there, or is dropped.
 *
 * @param renewed the next stream takes the place of the old one
 * @param notRenewed there is no next stream, and the old one goes on
 */
export function startRenewal(
  expiresInMs: number,
  settings: Settings,
  { clock, random }: Ports,
  reader: RenewableReader,
  renewed: (next: Attempt, connected: ConnectedData) => void,
  notRenewed: (outcome: Outcome) => void,
): Renewal | undefined {
  // It is a server's word, and may be anything.
  if (!(expiresInMs >= SHORTEST_MS)) return undefined
  let next: Attempt | undefined
  let release: (() => void) | undefined
  let alarm: Alarm
  const wait = (delayMs: number, task: () => void) => {
    alarm?.cancel()
    alarm = startAlarm(clock, delayMs, task)
  }
  const cancel = () => {
    alarm.cancel()
    next?.abandon()
    next = renewal.hold = undefined
    release?.()
  }
  const renewal: Renewal = { hold: undefined, cancel }
  // Clients that came together do not renew together.
  const leadMs = Math.min(LEAD_MS, expiresInMs / 4) * (0.5 + random() / 2)
  wait(expiresInMs - leadMs, () => {
    next = startAttempt(settings, clock, {
      asks() {
        wait(HEADERS_MS, cancel)
        return { attempt: 1, reason: 'expiring' }
      },
      leaves(identity) {
        const cursor = reader.renewable(identity)
        if (cursor === undefined) cancel()
        else {
          wait(HOLD_MS, cancel)
          renewal.hold = new Promise((resolve) => {
            release = resolve
          })
        }
        return cursor
      },
      bytes() {},
      retry() {},
      frame(frame) {
        const connected = reader.renew(frame)
        if (connected) {
          const proven = next as Attempt
          next = undefined
          renewed(proven, connected)
        } else cancel()
      },
      over(outcome) {
        cancel()
        notRenewed(outcome)
      },
    })
  })
  return renewal
}
