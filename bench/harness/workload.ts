/** How much time a run may take. */
export interface Effort {
  readonly quick: boolean
  /** Times that each server is measured; servers take turns. */
  readonly rounds: number
  /** Length of one measurement. */
  readonly seconds: number
  /** Only these servers, where given. */
  readonly only: readonly string[] | undefined
  log(line: string): void
}

/** One goal of this project and what came out, as a ratio or a figure of this run. */
export interface Goal {
  readonly text: string
  readonly measured: string
  readonly reached: boolean
}

/** Bars of the chart: one group a workload. */
export interface Bars {
  readonly title: string
  readonly bars: readonly { readonly label: string; readonly value: number; readonly ours: boolean }[]
}

/** What a workload found, ready to be written down. */
export interface Findings {
  readonly title: string
  /** What was done, so that it can be judged and done again. */
  readonly method: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly goals: readonly Goal[]
  readonly bars?: Bars
}

export interface Workload {
  readonly id: string
  /** Part of `--quick`. */
  readonly quick: boolean
  run(effort: Effort): Promise<Findings>
}

export function goal(text: string, value: number, reached: boolean, measured: string): Goal {
  return { text, measured, reached: Number.isFinite(value) && reached }
}
