import { within } from './children'
import { ratios } from './statistics'
import { failure, type Subject } from './turns'
import type { Effort } from './workload'

/** One slice of one server takes at most this long, whatever happens in it. */
const LIMIT_MS = 40_000

export interface SlicePlan<Each> {
  /** For so long in all. */
  readonly seconds: number
  /** What a slice takes, with what is around it. Whoever takes longer sits out until the others have had as much time. */
  readonly sliceMs: number
  /** Half as often as the others: those that nothing is judged by. */
  readonly seldom?: (subject: Each) => boolean
  log: Effort['log']
}

/** What the slices gave. Two figures are compared by those of the same round. */
export class Slices<Result> {
  readonly #rounds = new Map<string, Map<number, Result>>()
  /** Who has failed, and how. */
  readonly notes: string[] = []

  add(id: string, round: number, result: Result): void {
    const rounds = this.#rounds.get(id) ?? new Map<number, Result>()
    this.#rounds.set(id, rounds.set(round, result))
  }

  of(id: string, read: (result: Result) => number): number[] {
    return [...(this.#rounds.get(id)?.values() ?? [])].map(read)
  }

  /** One through the other, for each round in which both took part. */
  ratios(id: string, base: string, read: (result: Result) => number): number[] {
    const bases = this.#rounds.get(base) ?? new Map<number, Result>()
    const both = [...(this.#rounds.get(id) ?? [])].filter(([round]) => bases.has(round))
    return ratios(
      both.map(([, result]) => read(result)),
      both.map(([round]) => read(bases.get(round) as Result)),
    )
  }
}

/**
 * Every subject for a moment, then again, and so on, in another order each time; those that are judged follow each other. A core of a virtual
 * machine may need twice as long for the same instructions, for some tenths of a second or some seconds: a line of the cache takes now 60, now
 * 450 ns to the generator's core and back, as the host has placed the two. Slices that follow each other
 * mostly have the same machine, and there are so many that the middle one does not know of the others. What comes less often than in every
 * other slice it does not know either, such as large garbage collections: half a percent of what ours uses, two of the plain loop's.
 * One that fails takes no further part.
 */
export async function takeSlices<Each extends Subject, Result>(
  subjects: readonly Each[],
  { seconds, sliceMs, seldom, log }: SlicePlan<Each>,
  measure: (subject: Each) => Promise<Result>,
): Promise<Slices<Result>> {
  const slices = new Slices<Result>()
  const spent = new Map<Each, number>()
  const out = new Set<Each>()
  const random = randomFrom(1)
  const end = performance.now() + seconds * 1_000
  for (let round = 0; performance.now() < end && out.size < subjects.length; round++) {
    const order = shuffled(subjects, random)
    const later = order.filter((subject) => seldom?.(subject))
    for (const subject of [...order.filter((subject) => !later.includes(subject)), ...later]) {
      const before = spent.get(subject) ?? 0
      if (out.has(subject) || before > round * (later.includes(subject) ? sliceMs / 2 : sliceMs)) continue
      const began = performance.now()
      try {
        slices.add(subject.id, round, await within(LIMIT_MS, `round ${round + 1}`, measure(subject)))
      } catch (error) {
        out.add(subject)
        slices.notes.push(failure(subject, error))
        log(slices.notes.at(-1) as string)
      }
      spent.set(subject, before + performance.now() - began)
    }
  }
  return slices
}

/** Who comes after whom is another one each round: what one leaves in the caches is not always found by the same one. */
function shuffled<Each>(all: readonly Each[], random: () => number): Each[] {
  return all
    .map((each) => ({ each, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ each }) => each)
}

/** Numbers from 0 to 1, the same ones in each run. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
