import type { Spread } from './statistics'

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

/** One goal of this project: a ratio, or a figure, that a run is to reach. */
export interface Aim {
  readonly id: string
  readonly work: string
  /** The bound in words, with what it is compared with. */
  readonly text: string
  readonly least?: number
  readonly most?: number
  /** After the figure. */
  readonly unit: string
}

/** One part of the chart. */
export interface Bars {
  readonly title: string
  readonly bars: readonly { readonly label: string; readonly value: Spread; readonly ours: boolean }[]
}

/** What a workload found, ready to be written down. */
export interface Findings {
  readonly title: string
  /** What was done, so that it can be judged and done again. */
  readonly method: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** By the aim's id. One that is not here could not be measured. */
  readonly reached: Readonly<Record<string, Spread>>
  /** Who could not take part to the end, and why. */
  readonly notes?: readonly string[]
  readonly bars?: Bars
}

export interface Workload {
  readonly id: string
  /** Part of `--quick`. */
  readonly quick: boolean
  /** What it is to show: in the table of goals also where the workload has failed. */
  readonly aims: readonly Aim[]
  run(effort: Effort): Promise<Findings>
}
