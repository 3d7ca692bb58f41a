import cluster, { type Worker } from 'node:cluster'
import { createServer } from 'node:http'
import { EventHub } from '@entitycast/sse-server'
import { ClusterAdapter, startClusterLog } from '@entitycast/sse-server/cluster'
import { eventStream } from '@entitycast/sse-server/node'
import { benchEvent, EVENT_NAME } from '../contenders/event'
import { listening } from '../contenders/listening'
import type { Order } from '../contenders/serve'
import type { Usage } from '../harness/server'

/*
 * Ours in several processes: `node cluster-program.mjs <workers>`. Driven like any other server; the first worker publishes, and all of
 * them deliver. With `strangers` after the number they have nothing to do with each other, and each publishes for its own streams: that is
 * what the machine allows. Each worker has a port of its own, for a generator of its own.
 */

const PROJECT = 'proj_123'
const STRANGERS = process.argv[3] === 'strangers'

/** What the primary tells a worker. */
type Task = { turns: number; events: number } | 'usage'

/** What a worker says. */
type Said = { port: number } | { used: Usage; streams: number }

function usageHere(): Usage {
  const { user, system } = process.cpuUsage()
  return { userMicros: user, systemMicros: system, rssBytes: process.memoryUsage.rss() }
}

async function work(): Promise<void> {
  const hub = new EventHub({
    ...(!STRANGERS && { adapter: new ClusterAdapter() }),
    limits: {
      perUser: 100_000,
      perIp: 100_000,
      perProject: 100_000,
      perProcess: 100_000,
      connectsPerSecond: 100_000,
    },
  })
  let turn = 0
  let number = 0
  let allowed = 0
  let eventsATurn = 1
  let running = false
  function run(): void {
    running = turn < allowed
    if (!running) return
    for (let n = 0; n < eventsATurn; n++) {
      const { entity, id, data } = benchEvent(++number)
      void hub.publish({ type: EVENT_NAME, entity, id, projectId: PROJECT, data })
    }
    turn++
    setImmediate(run)
  }
  process.on('message', (task: Task) => {
    if (task === 'usage') process.send?.({ used: usageHere(), streams: hub.stats().connections })
    else if ('turns' in task) {
      allowed = task.turns
      eventsATurn = task.events
      if (!running) run()
    }
  })
  // Whoever comes first must not wait for the log's first answer.
  await hub.cursor(PROJECT)
  const authorize = () => ({ projectId: PROJECT, userId: 'bench' })
  const port = await listening(createServer(eventStream(hub, { authorize })), { exclusive: true })
  process.send?.({ port })
}

async function lead(count: number): Promise<void> {
  if (!STRANGERS) startClusterLog()
  const workers = Array.from({ length: count }, () => cluster.fork())
  const next = <Name extends 'port' | 'used'>(worker: Worker, name: Name) =>
    new Promise<Extract<Said, Record<Name, unknown>>>((resolve) => {
      const hear = (said: Said) => {
        if (!(name in said)) return
        worker.off('message', hear)
        resolve(said as Extract<Said, Record<Name, unknown>>)
      }
      worker.on('message', hear)
    })
  const ports = Promise.all(workers.map((worker) => next(worker, 'port')))
  const usageOf = (worker: Worker) => {
    const answer = next(worker, 'used')
    worker.send('usage')
    return answer
  }
  process.on('message', async (order: Order) => {
    if (order.do === 'allow') {
      const publishers = STRANGERS ? workers : workers.slice(0, 1)
      for (const worker of publishers) worker.send({ turns: order.turns, events: order.events })
    } else if (order.do === 'usage') {
      const here = usageHere()
      const theirs = await Promise.all(workers.map(usageOf))
      process.send?.({ all: [here, ...theirs.map(({ used }) => used)], streams: theirs.map(({ streams }) => streams) })
    }
  })
  process.on('disconnect', () => process.exit())
  process.send?.({ ports: (await ports).map(({ port }) => port) })
}

if (cluster.isPrimary) await lead(Number(process.argv[2]))
else await work()
