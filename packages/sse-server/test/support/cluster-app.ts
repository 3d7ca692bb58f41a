import { type ChildProcess, fork } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { ClusterAdapter, type ClusterLog, startClusterLog } from '@entitycast/sse-server/cluster'

/*
 * An application of several processes, as its tests drive it: the test asks the primary, the primary asks a worker over the channel that
 * the log uses too, and each of them hears everything that comes over it.
 */

export type AppMessage =
  | { do: 'append'; project: string; count: number; bytes?: number }
  | { do: 'open'; project: string }
  | { do: 'seen'; project: string }
  | { do: 'read'; project: string; epoch: string }
  | { do: 'status' }
  | { do: 'misuse' }

/** What a worker was told of a project. */
export interface Seen {
  readonly epoch: string
  readonly head: number
  /** Entries since it opened the project, or since the last doubt. */
  readonly count: number
  readonly doubts: readonly string[]
  /** Whether an entry came that was not the next one. */
  readonly isBroken: boolean
  /** Short data, in order. */
  readonly texts: readonly string[]
}

interface Asked {
  readonly ask: number
  readonly message: AppMessage
}

const RETENTION = { ageMs: 60_000, events: 100_000, bytes: 2_000_000 }

/** The error's code, or what was answered. */
async function outcome(task: () => unknown): Promise<unknown> {
  try {
    return await task()
  } catch (error) {
    return { code: (error as { code?: string }).code, error: (error as Error).message }
  }
}

function runWorker(): void {
  const adapter = new ClusterAdapter({ checkIntervalMs: 200 })
  adapter.start(RETENTION)
  const projects = new Map<string, { -readonly [Key in keyof Seen]: Seen[Key] }>()
  let appended = 0

  async function run(message: AppMessage): Promise<unknown> {
    switch (message.do) {
      case 'append': {
        const { project, count, bytes } = message
        const more = bytes ? 'x'.repeat(bytes) : ''
        const records = Array.from({ length: count }, () => ({
          type: 'a:b',
          data: `${process.pid}.${++appended}${more}`,
          channel: 'default',
        }))
        const ends = await Promise.all(records.map((record) => adapter.append(project, [record])))
        return ends.at(-1)
      }
      case 'open': {
        const texts: string[] = []
        const doubts: string[] = []
        const opened = await adapter.open(message.project, {
          entries: (entries) => {
            const seen = projects.get(message.project)
            if (!seen) return
            for (const { offset, record } of entries) {
              if (offset !== seen.head + 1) seen.isBroken = true
              seen.head = offset
              seen.count++
              if (record.data.length < 100) texts.push(record.data)
            }
          },
          doubt: ({ epoch, offset }, reason) => {
            const seen = projects.get(message.project)
            if (seen) Object.assign(seen, { epoch, head: offset, count: 0 })
            doubts.push(reason)
          },
        })
        const { epoch, offset } = opened.head
        projects.set(message.project, { epoch, head: offset, count: 0, doubts, isBroken: false, texts })
        return opened.head
      }
      case 'seen':
        return projects.get(message.project)
      case 'read': {
        const page = await adapter.read(message.project, { epoch: message.epoch, offset: 0 }, 1_000)
        return 'gap' in page ? page : page.entries.map(({ record }) => record.data)
      }
      case 'status':
        return adapter.status()
      case 'misuse':
        return outcome(() => startClusterLog())
    }
  }

  process.on('message', async (asked: Asked) => {
    if (asked?.ask === undefined) return
    process.send?.({ ask: asked.ask, answer: await outcome(() => run(asked.message)) })
  })
  // What an application, or its process manager, says over the same channel.
  process.send?.({ type: 'process:msg', data: { hello: process.pid } })
}

/** What the test tells the primary. */
export type Order =
  | { do: 'start'; log: boolean; workers: number; children: number }
  | { do: 'log' }
  | { do: 'fork' }
  | { do: 'gone'; worker: number }
  | { do: 'memory' }
  | { do: 'misuse' }
  | { do: 'hellos' }
  | { do: 'worker'; worker: number; message: AppMessage }

function runPrimary(): void {
  const workers: (Worker | ChildProcess)[] = []
  const answers = new Map<number, (answer: unknown) => void>()
  const hellos: unknown[] = []
  let log: ClusterLog | undefined
  let asked = 0

  const heard = (message: { ask?: number; answer?: unknown; type?: string; data?: unknown }) => {
    if (message.type === 'process:msg') hellos.push(message.data)
    if (message.ask !== undefined) answers.get(message.ask)?.(message.answer)
  }
  /** Resolves when it has said something: what is sent to it before is heard by nobody. */
  async function add(worker: Worker | ChildProcess): Promise<number | undefined> {
    workers.push(worker)
    worker.on('message', heard)
    await once(worker as ChildProcess, 'message')
    return 'process' in worker ? worker.process.pid : worker.pid
  }

  async function run(order: Order): Promise<unknown> {
    switch (order.do) {
      case 'start': {
        if (order.log) log = startClusterLog()
        const pids = Array.from({ length: order.workers }, () => add(cluster.fork()))
        for (let n = 0; n < order.children; n++) {
          const child = fork(process.argv[1] ?? '', ['child'])
          log?.attach(child)
          pids.push(add(child))
        }
        return Promise.all(pids)
      }
      case 'log':
        log = startClusterLog()
        return true
      case 'fork':
        return add(cluster.fork())
      case 'gone': {
        const worker = workers[order.worker] as Worker
        if (worker.isConnected()) await once(worker as unknown as ChildProcess, 'disconnect')
        return true
      }
      case 'memory': {
        for (let n = 0; n < 3; n++) (globalThis as { gc?: () => void }).gc?.()
        const { heapUsed, external } = process.memoryUsage()
        return heapUsed + external
      }
      case 'misuse':
        return Promise.all([outcome(() => startClusterLog()), outcome(() => new ClusterAdapter())])
      case 'hellos':
        return hellos
      case 'worker': {
        const ask = ++asked
        const answered = new Promise((resolve) => answers.set(ask, resolve))
        const worker = workers[order.worker]
        worker?.send({ ask, message: order.message } satisfies Asked)
        return answered
      }
    }
  }

  process.on('message', async ({ id, order }: { id: number; order: Order }) => {
    process.send?.({ id, answer: await outcome(() => run(order)) })
  })
  process.on('disconnect', () => process.exit())
}

if (cluster.isWorker || process.argv[2] === 'child') runWorker()
else runPrimary()
