import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import type { Usage } from './server'

/* Of servers that are not Node: what they use, from /proc, and when they are ready. */

/** The process and everything that it has started. */
export function familyOf(pid: number): number[] {
  const children: number[] = []
  for (const name of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${name}/children`, 'utf8').trim()
    if (text) children.push(...text.split(' ').map(Number))
  }
  return [pid, ...children.flatMap(familyOf)]
}

export function usageOf(pids: readonly number[]): Usage {
  let user = 0
  let system = 0
  let total = 0
  for (const pid of pids) {
    // The name may hold anything, so the fields are counted from its closing bracket. A tick is 10 ms: good enough for the shares.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    user += Number(fields[11])
    system += Number(fields[12])
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const [nanos] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')
      total += Number(nanos) / 1_000
    }
  }
  const userMicros = (total * user) / Math.max(1, user + system)
  return { userMicros, systemMicros: total - userMicros, rssBytes: rssOf(pids) }
}

export function rssOf(pids: readonly number[]): number {
  let kilobytes = 0
  for (const pid of pids) {
    kilobytes += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  }
  return kilobytes * 1_024
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** Resolves when a stream is granted there: several processes have to find each other first. */
export async function granting(port: number): Promise<void> {
  for (const end = Date.now() + 15_000; ; ) {
    const status = await new Promise<number | undefined>((resolve) => {
      const probe = request({ host: '127.0.0.1', port, path: '/stream', agent: false, timeout: 1_000 }, (answer) => {
        resolve(answer.statusCode)
        answer.destroy()
      })
      probe.on('timeout', () => probe.destroy())
      probe.on('error', () => resolve(undefined))
      probe.end()
    })
    if (status === 200) return
    if (Date.now() > end) throw new Error(`no stream is granted on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Resolves when something listens there. */
export async function answering(port: number): Promise<void> {
  const { connect } = await import('node:net')
  for (const end = Date.now() + 15_000; ; ) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (open) return
    if (Date.now() > end) throw new Error(`nothing listens on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
