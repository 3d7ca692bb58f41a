import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { chart } from './chart'
import { absent } from './contestants'
import { BENCH } from './load'
import { machine, versions } from './machine'
import { show, showSpread } from './statistics'
import type { Aim, Effort, Findings, Workload } from './workload'

/** One workload, and what came of it. */
export interface Outcome {
  readonly workload: Workload
  readonly findings?: Findings
  /** Why there are none. */
  readonly failure?: string
}

/** For the terminal. */
export function print(outcomes: readonly Outcome[]): void {
  for (const { workload, findings, failure } of outcomes) {
    if (!findings) {
      console.log(`\n${workload.id}: ${failure}`)
      continue
    }
    const { title, columns, rows, notes = [] } = findings
    console.log(`\n${title}`)
    console.table(rows.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i], cell]))))
    for (const note of notes) console.log(`note: ${note}`)
    for (const aim of workload.aims) {
      const [measured, reached] = judged(aim, findings)
      console.log(`${reached.padEnd(3)} ${aim.work}: ${aim.text}: ${measured}`)
    }
  }
  for (const name of absent()) console.log(`not installed: ${name}`)
}

/** `bench/RESULTS.md` and `bench/results.svg`. Written after every workload, so that a run that is cut short has left what it found. */
export function write(outcomes: readonly Outcome[], { rounds, seconds }: Effort, minutes: number): void {
  const bars = outcomes.flatMap(({ findings }) => (findings?.bars ? [findings.bars] : []))
  writeFileSync(path.join(BENCH, 'results.svg'), chart(bars))
  writeFileSync(
    path.join(BENCH, 'RESULTS.md'),
    `# Results of the bench

Written by \`npm run bench\`; nothing here is written by hand.

- ${new Date().toISOString().slice(0, 10)}, ${Math.round(minutes * 10) / 10} minutes. ${machine()}.
- ${versions()}.
${absent()
  .map((name) => `- Not installed, so not here: ${name}.\n`)
  .join('')}
## Method

- Each server is a process of its own on 127.0.0.1 and publishes from inside; publishing costs its own processor time too. Ours has everything on:
  cursors, retention, heartbeats, limits, the protocol's checks.
- Frames have 264 bytes, and the same fields for every server. Every delivery is counted and checked: the load generator ends a measurement at the first
  event that is missing, doubled or out of order.
- The loop is closed: a server publishes its next turn when all streams have the one before the last. Nothing is merely buffered.
- A core of a virtual machine may need twice as long for the same instructions, for some tenths of a second or some seconds. So all servers of a table are up with their streams
  open, and take turns in slices of a tenth of a second to half of one, in another order each round, some ${show(rounds * seconds)} s for each; or they have their turns in the same seconds, one after the other. The
  first turns of a slice do not count: what others did meanwhile has taken the caches, for all alike. A ratio compares two slices of the same round.
  Memory, catching up, the adapters, publishing and the client are measured one after the other, each in a process of its own.
- Figures are the median. In brackets are the quartiles: half of all slices, or of all ratios, lie between; with fewer than eight of them, the smallest and the largest.
- The figure is deliveries for each second of the *server's* processor time, user and kernel together: it says how many streams a core carries, and does not
  depend on what else the machine does as much as a rate would. Absolute figures are this machine's; the ratios carry over.
- The load generator is a C program (\`bench/c/load.c\`) that parses nothing. Its own processor time stands beside each server's. Over loopback a part of
  the receiver's work in the kernel is charged to the sender, for everyone alike.

## Goals

| work | goal | measured | reached |
| --- | --- | --- | --- |
${outcomes.flatMap(({ workload, findings }) => workload.aims.map((aim) => row([aim.work, aim.text, ...judged(aim, findings)]))).join('\n')}

![The servers beside each other](results.svg)

${outcomes.map(section).join('\n')}`,
  )
}

function section({ workload, findings, failure }: Outcome): string {
  if (!findings) return `## ${workload.id}\n\nNot measured: ${failure}\n`
  const { title, method, columns, rows, notes = [] } = findings
  return `## ${title}

${method}

${row(columns)}
${row(columns.map((_, i) => (i === 0 ? '---' : '---:')))}
${rows.map(row).join('\n')}
${notes.length > 0 ? `\n${notes.map((note) => `- ${note}`).join('\n')}\n` : ''}`
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

/** What was measured, and whether that is enough. */
function judged({ id, least, most, unit }: Aim, findings: Findings | undefined): [measured: string, reached: string] {
  const spread = findings?.reached[id]
  if (!spread || !Number.isFinite(spread.median)) return ['not measured', '–']
  const { median } = spread
  const reached = (least === undefined || median >= least) && (most === undefined || median <= most)
  return [`${showSpread(spread)}${unit}`, reached ? 'yes' : '**no**']
}
