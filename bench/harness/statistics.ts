/** What several measurements gave: the middle one, and how far they lay apart. */
export interface Spread {
  readonly median: number
  /** The smallest and the largest; of many, the quartiles: half of all lie between. */
  readonly low: number
  readonly high: number
}

/** From so many on, the outermost say only how long was measured. */
const MANY = 8

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const cut = sorted.length < MANY ? 0 : 0.25
  return { median: quantile(sorted, 0.5), low: quantile(sorted, cut), high: quantile(sorted, 1 - cut) }
}

function quantile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return Number.NaN
  const place = share * (sorted.length - 1)
  const below = sorted[Math.floor(place)] as number
  const above = sorted[Math.ceil(place)] as number
  return below + (above - below) * (place % 1)
}

/** Each value through the one of the same round: what was measured minutes apart is never compared. */
export function ratios(values: readonly number[], base: readonly number[]): number[] {
  return values.slice(0, base.length).map((value, round) => value / (base[round] as number))
}

/** Three figures that matter; thousands with a comma. */
export function show(value: number, unit = ''): string {
  if (!Number.isFinite(value)) return '–'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return `${value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits })}${unit}`
}

export function showSpread({ median, low, high }: Spread, unit = ''): string {
  return Number.isFinite(median) ? `${show(median, unit)} (${show(low)}–${show(high)})` : '–'
}
