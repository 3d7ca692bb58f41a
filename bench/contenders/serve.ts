import type { Contender, ServerOptions } from './contender'
import { benchEvent } from './event'

/*
 * One server in a process of its own: `node serve.mjs <name> <options as JSON>`. It publishes when the bench allows it, a turn of the
 * event loop for each turn, and reports what it used.
 */

/** What the bench tells the server. */
export type Order =
  | { do: 'allow'; turns: number; events: number }
  | { do: 'pace'; everyMs: number; count: number }
  | { do: 'usage'; collect: boolean }
  | { do: 'cursor' }

/** What the server answers. */
export type Word =
  | { port: number }
  | { usage: { userMicros: number; systemMicros: number; rssBytes: number; open: number | undefined } }
  | { paced: number }
  | { cursor: string }

const contenders: Record<string, () => Promise<Contender>> = {
  entitycast: async () => (await import('./entitycast')).entitycast(),
  'plain-http': async () => (await import('./plain-http')).plainHttp(),
  'socket-write': async () => (await import('./socket-write')).socketWrite(),
  'better-sse': async () => (await import('./better-sse')).betterSse(),
  'nest-sse': async () => (await import('./nest')).nestSse(),
  express: async () => (await import('./express')).expressByHand(),
  hono: async () => (await import('./hono')).hono(),
  'fastify-sse': async () => (await import('./fastify-sse')).fastifyPlugin(),
  'socket.io': async () => (await import('./socket-io')).socketIo(),
  ws: async () => (await import('./ws')).webSockets(),
}

const [name = '', options = '{}'] = process.argv.slice(2)
const make = contenders[name]
if (!make) throw new Error(`there is no contender ${name}`)
const contender = await make()
const say = (word: Word) => process.send?.(word)

let turn = 0
let allowed = 0
let eventsATurn = 1
let number = 0
let running = false

function publish(count: number): void {
  contender.publish(Array.from({ length: count }, () => benchEvent(++number)))
}

/** A turn of the loop for each turn: what is published in two of them is not joined by anybody's luck. */
function run(): void {
  running = turn < allowed
  if (!running) return
  publish(eventsATurn)
  turn++
  setImmediate(run)
}

process.on('message', (order: Order) => {
  switch (order.do) {
    case 'allow':
      allowed = order.turns
      eventsATurn = order.events
      if (!running) run()
      break
    case 'pace': {
      let left = order.count
      const timer = setInterval(() => {
        publish(1)
        if (--left > 0) return
        clearInterval(timer)
        say({ paced: number })
      }, order.everyMs)
      break
    }
    case 'cursor':
      void contender.cursor?.().then((cursor) => say({ cursor }))
      break
    case 'usage': {
      if (order.collect) for (let i = 0; i < 3; i++) (globalThis as { gc?: () => void }).gc?.()
      const { user, system } = process.cpuUsage()
      say({
        usage: { userMicros: user, systemMicros: system, rssBytes: process.memoryUsage.rss(), open: contender.open },
      })
    }
  }
})
process.on('disconnect', () => process.exit())

say({ port: await contender.listen(JSON.parse(options) as ServerOptions) })
