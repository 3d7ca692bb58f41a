import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { plant } from './bugs.mjs'
import { buildSimulation } from './build.mjs'

/** A bug may make a world that never ends. */
const HUNT_LIMIT_MS = 180_000

/**
 * What a run of many seeds came to, as `main.ts` prints it.
 *
 * @typedef {object} Summary
 * @property {number} seeds
 * @property {{ seed: number, message: string }[]} failures
 * @property {{ steps: number, virtualMs: number, published: number, delivered: number, connects: number, renewals: number,
 *   resyncs: Record<string, number>, faults: Record<string, number> }} figures
 * @property {number} cpuSeconds
 * @property {number} unhandled
 */

/** @typedef {{ file: string, remove: () => void }} Built A bundle in a folder of its own. */

/**
 * Bundles the simulation into the system's folder for temporary files, with a bug in it where one is given.
 *
 * @param {import('./bugs.mjs').Bug} [bug]
 * @returns {Promise<Built>}
 */
export async function buildInTemp(bug) {
  const folder = mkdtempSync(path.join(tmpdir(), 'entitycast-simulation-'))
  const file = path.join(folder, 'simulation.mjs')
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    if (!bug) await buildSimulation(file)
    else {
      const { change, planted } = plant(bug)
      await buildSimulation(file, change)
      if (!planted()) throw new Error(`"${bug.name}": a file that it changes is not part of the simulation any more`)
    }
    return { file, remove }
  } catch (error) {
    remove()
    throw error
  }
}

/**
 * Runs seeds in a process of its own. Rejects where it ends without a summary.
 *
 * @param {string} file
 * @param {{ first: number, count: number, maxFailures?: number, signal?: AbortSignal }} seeds
 * @returns {Promise<Summary>}
 */
export function runSimulation(file, { first, count, maxFailures = 10, signal }) {
  return new Promise((resolve, reject) => {
    const args = ['--enable-source-maps', file, String(first), String(count), String(maxFailures)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(signal && { signal }) })
    let output = ''
    let errors = ''
    child.stdout.on('data', (data) => {
      output += data
    })
    child.stderr.on('data', (data) => {
      errors = (errors + data).slice(-20_000)
    })
    child.on('error', reject)
    child.on('close', () => {
      try {
        resolve(JSON.parse(output))
      } catch {
        reject(
          new Error(`the simulation of seeds ${first} to ${first + count - 1} ended without a summary:\n${errors}`),
        )
      }
    })
  })
}

/**
 * Runs seeds with the bug in the sources. Rejects where the bug no longer has a place in them.
 *
 * @param {import('./bugs.mjs').Bug} bug
 * @param {{ first: number, count: number, maxFailures: number }} seeds
 */
export async function hunt(bug, seeds) {
  const { file, remove } = await buildInTemp(bug)
  try {
    return await runSimulation(file, { ...seeds, signal: AbortSignal.timeout(HUNT_LIMIT_MS) })
  } finally {
    remove()
  }
}

/**
 * @param {readonly Summary[]} summaries
 * @returns {Summary}
 */
export function total(summaries) {
  /** @param {'resyncs' | 'faults'} of */
  const counts = (of) => {
    /** @type {Record<string, number>} */
    const sums = {}
    for (const { figures } of summaries)
      for (const [name, count] of Object.entries(figures[of])) sums[name] = (sums[name] ?? 0) + count
    return sums
  }
  /** @param {(summary: Summary) => number} number */
  const sum = (number) => summaries.reduce((before, summary) => before + number(summary), 0)
  return {
    seeds: sum(({ seeds }) => seeds),
    failures: summaries.flatMap(({ failures }) => failures),
    figures: {
      steps: sum(({ figures }) => figures.steps),
      virtualMs: sum(({ figures }) => figures.virtualMs),
      published: sum(({ figures }) => figures.published),
      delivered: sum(({ figures }) => figures.delivered),
      connects: sum(({ figures }) => figures.connects),
      renewals: sum(({ figures }) => figures.renewals),
      resyncs: counts('resyncs'),
      faults: counts('faults'),
    },
    cpuSeconds: sum(({ cpuSeconds }) => cpuSeconds),
    unhandled: sum(({ unhandled }) => unhandled),
  }
}

/** A first seed that nobody has tried yet: above the fixed ones, and with room for a long run. */
export function freshSeed() {
  return randomInt(1_000_000, 2_000_000_000)
}

/**
 * One line about a run.
 *
 * @param {number} first
 * @param {Summary} summary
 */
export function describe(first, { seeds, failures, figures, cpuSeconds }) {
  /** @param {Record<string, number>} counts */
  const all = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0)
  const { connects, renewals, published, delivered, resyncs, faults, virtualMs } = figures
  return [
    `seeds ${first} to ${first + seeds - 1}: ${failures.length} failed`,
    `${Math.round(seeds / cpuSeconds)} seeds a CPU second`,
    `${(virtualMs / 3_600_000).toFixed(1)} hours of virtual time`,
    `${connects} connects (${renewals} to renew), ${published} events published, ${delivered} delivered, ${all(resyncs)} resyncs, ${all(faults)} faults`,
  ].join('; ')
}

/**
 * How to see a failure again.
 *
 * @param {{ seed: number, message: string }} failure
 */
export function replay({ seed, message }) {
  return `${message}\n  replay: npm run simulate -- ${seed} 1`
}

/**
 * Does the work for each item, a few at a time.
 *
 * @template Item, Result
 * @param {readonly Item[]} items
 * @param {number} atOnce
 * @param {(item: Item) => Promise<Result>} work
 * @returns {Promise<Result[]>} in the items' order
 */
export async function inParallel(items, atOnce, work) {
  /** @type {Result[]} */
  const results = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const at = next++
      results[at] = await work(/** @type {Item} */ (items[at]))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}
