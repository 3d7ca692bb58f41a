/** The clock that all processes of a machine share, in microseconds: that of the marks in `contenders/event.ts`. */
export function monotonicMicros(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}
