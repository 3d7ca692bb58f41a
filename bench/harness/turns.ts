import { within } from './children'
import type { Effort } from './workload'

/** One measurement of one server takes at most this long, whatever happens in it. */
const LIMIT_MS = 40_000

/** What is measured in turns. */
export interface Subject {
  readonly id: string
  readonly label: string
}

export interface Taken<Result> {
  /** By the subject's id, a result a round. Shorter for one that has failed. */
  readonly results: ReadonlyMap<string, Result[]>
  /** Who has failed, and how. */
  readonly notes: string[]
}

/**
 * Every subject in turn, as often as there are rounds; the order moves on by one each time, so that nobody is always first. One that fails
 * takes no further part, and the others go on.
 */
export async function takeTurns<Each extends Subject, Result>(
  subjects: readonly Each[],
  { rounds, log }: Pick<Effort, 'rounds' | 'log'>,
  measure: (subject: Each, round: number) => Promise<Result>,
): Promise<Taken<Result>> {
  const results = new Map<string, Result[]>(subjects.map(({ id }) => [id, []]))
  const notes: string[] = []
  const out = new Set<Each>()
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[(i + round) % subjects.length] as Each
      if (out.has(subject)) continue
      try {
        results.get(subject.id)?.push(await within(LIMIT_MS, `round ${round + 1}`, measure(subject, round)))
      } catch (error) {
        out.add(subject)
        notes.push(failure(subject, error))
        log(notes.at(-1) as string)
      }
    }
  }
  return { results, notes }
}

export function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export function failure({ label }: Subject, error: unknown): string {
  return `${label} was left out: ${(error as Error).message}`
}
