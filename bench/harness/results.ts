import type { Effort, Findings } from './workload'

export async function writeResults(
  found: readonly Findings[],
  _run: { minutes: number; effort: Effort; write: boolean },
): Promise<void> {
  for (const { title, columns, rows, goals } of found) {
    console.log(`\n${title}`)
    console.table(rows.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i], cell]))))
    for (const { text, measured, reached } of goals) console.log(`${reached ? 'yes' : 'NO '}  ${text}: ${measured}`)
  }
}
