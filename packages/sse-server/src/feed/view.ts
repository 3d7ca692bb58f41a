import type { Span } from './span'

/** Places in the log that are kept for the next reader there. */
const KEPT_SPANS = 16

/** Readers who asked for the same channels: they see the same events, but for those with an audience, and share the very same chunks. */
export class View {
  /** The span that was asked for last: nearly always what the next reader wants. */
  #last: Span | undefined
  /** Connections that have this view. */
  readers = 0
  readonly #spans: Span[] = []

  constructor(
    readonly key: string,
    /** `undefined`: every channel. */
    readonly channels: ReadonlySet<string> | undefined,
  ) {}

  static key(channels: readonly string[] | undefined): string {
    return channels ? [...new Set(channels)].sort().join(',') : '*'
  }

  /** What lies after a place, if somebody has asked for it already. */
  span(from: number, conflated: boolean): Span | undefined {
    const last = this.#last
    if (last && last.from === from && last.conflated === conflated) return last
    // So few that a loop finds one sooner than an index.
    for (const span of this.#spans) if (span.from === from && span.conflated === conflated) return span
    return undefined
  }

  keep(span: Span): void {
    // What nobody else can ask for would only take memory, once for each connection.
    if (this.readers < 2) return
    if (this.#spans.length >= KEPT_SPANS) this.#spans.length = 0
    this.#spans.push(span)
    this.#last = span
  }

  /** The log's head has moved: spans that ended there would now end later. */
  forget(): void {
    if (!this.#last) return
    this.#last = undefined
    this.#spans.length = 0
  }
}
