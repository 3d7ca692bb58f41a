import type { ChildProcess } from 'node:child_process'

/*
 * Every process that the bench starts is known here, so that none outlives it: not after an error, not after Ctrl-C, not after a server
 * that does not answer.
 */

interface Adopted {
  readonly child: ChildProcess
  /** Has processes of its own, in a process group with it at the head. */
  readonly group: boolean
}

const adopted = new Set<Adopted>()

/** `group` for a child that was started `detached`: what it has started goes with it. */
export function adopt<Child extends ChildProcess>(child: Child, { group = false } = {}): Child {
  const entry = { child, group }
  adopted.add(entry)
  child.on('exit', () => adopted.delete(entry))
  child.on('error', () => adopted.delete(entry))
  return child
}

/** Resolves when it has ended: by itself within the time, or by force. */
export async function ended(child: ChildProcess, graceMs = 3_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

export function endAll(): void {
  for (const { child, group } of adopted) {
    try {
      if (group && child.pid) process.kill(-child.pid, 'SIGKILL')
      else child.kill('SIGKILL')
    } catch {
      // It was quicker.
    }
  }
  adopted.clear()
}

process.on('exit', endAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))

/** The work's result, or an error when it takes longer. */
export async function within<Result>(ms: number, what: string, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms / 1_000} s`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
