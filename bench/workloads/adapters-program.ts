import cluster, { type Worker } from 'node:cluster'
import { benchEvent } from '../contenders/event'
import { type Instance, makeInstance } from '../contenders/instances'
import { monotonicMicros } from './adapters-clock'

/*
 * One of the processes of an application: `node adapters-program.mjs <instance> <port of the broker>`. As `cluster` it is the primary, with two
 * workers that are spoken to through it.
 */

/** What the bench asks for, and which process, where there are several behind one. */
export interface Question {
  readonly n: number
  readonly to: number
  readonly order: Order
}

export type Order =
  | { do: 'open' }
  | { do: 'cursor'; project: string }
  /** One event every so many milliseconds. */
  | { do: 'pace'; project: string; everyMs: number; count: number }
  /** As fast as they are taken, so many at a time: for a time, or so many in all. */
  | { do: 'append'; project: string; inFlight: number; forMs?: number; count?: number }
  | { do: 'usage' }

/** What is answered; the fields depend on the question. */
export interface Answer {
  readonly n: number
  readonly open?: number
  readonly cursor?: string
  /** The number of the last event that was published. */
  readonly last?: number
  /** When the first was, in microseconds of the monotonic clock. */
  readonly beganMicros?: number
  readonly cpuMicros?: number
  readonly error?: string
}

/** What is said first: where the processes listen. */
export interface Ready {
  readonly ports: readonly number[]
}

async function work(name: string, brokerPort: number): Promise<void> {
  const instance = await makeInstance(name, brokerPort)
  const numbers = new Map<string, number>()
  const publish = (project: string) => {
    const number = (numbers.get(project) ?? 0) + 1
    numbers.set(project, number)
    return instance.publish(project, benchEvent(number))
  }
  const last = (project: string) => numbers.get(project) ?? 0

  async function pace(project: string, everyMs: number, count: number): Promise<void> {
    const published: Promise<unknown>[] = []
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        published.push(publish(project))
        if (published.length < count) return
        clearInterval(timer)
        resolve()
      }, everyMs)
    })
    await Promise.all(published)
  }

  async function append(project: string, inFlight: number, forMs = Infinity, count = Infinity): Promise<void> {
    const end = performance.now() + forMs
    let left = count
    const one = async () => {
      while (left-- > 0 && performance.now() < end) {
        await publish(project)
        // What is answered at once must let the sockets have their turn too.
        await new Promise(setImmediate)
      }
    }
    await Promise.all(Array.from({ length: inFlight }, one))
  }

  async function answer(order: Order): Promise<Omit<Answer, 'n'>> {
    switch (order.do) {
      case 'open':
        return { open: instance.open }
      case 'cursor':
        return { cursor: (await instance.cursor?.(order.project)) ?? '' }
      case 'pace':
        await pace(order.project, order.everyMs, order.count)
        return { last: last(order.project) }
      case 'append': {
        const beganMicros = monotonicMicros()
        await append(order.project, order.inFlight, order.forMs, order.count)
        return { last: last(order.project), beganMicros }
      }
      case 'usage': {
        const { user, system } = process.cpuUsage()
        return { cpuMicros: user + system }
      }
    }
  }

  process.on('message', (question: Partial<Question>) => {
    const { n, order } = question
    // The cluster's own messages come the same way.
    if (n === undefined || !order) return
    answer(order).then(
      (answered) => process.send?.({ n, ...answered }),
      (error: Error) => process.send?.({ n, error: error.message }),
    )
  })
  process.on('disconnect', () => process.exit())
  await say(instance)
}

async function say(instance: Instance): Promise<void> {
  process.send?.({ ports: [await instance.listen()] } satisfies Ready)
}

async function lead(count: number): Promise<void> {
  const { startClusterLog } = await import('@entitycast/sse-server/cluster')
  startClusterLog()
  const ports: number[] = []
  const workers: Worker[] = []
  for (let n = 0; n < count; n++) {
    const worker = cluster.fork()
    workers.push(worker)
    worker.on('message', (message: Partial<Ready & Answer>) => {
      if (message.ports) {
        ports[n] = message.ports[0] as number
        if (Object.keys(ports).length === count) process.send?.({ ports } satisfies Ready)
      } else if (message.n !== undefined) process.send?.(message)
    })
    worker.on('exit', () => process.exit(1))
  }
  process.on('message', (question: Question) => workers[question.to]?.send(question))
  process.on('disconnect', () => process.exit())
}

const [name = '', brokerPort = '0'] = process.argv.slice(2)
if (name === 'cluster' && cluster.isPrimary) await lead(2)
else await work(name, Number(brokerPort))
