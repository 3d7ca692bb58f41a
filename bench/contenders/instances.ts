import { createServer, type ServerResponse } from 'node:http'
import { type Adapter, EventHub } from '@entitycast/sse-server'
import { eventStream } from '@entitycast/sse-server/node'
import type { ServerOptions } from 'socket.io'
import { type BenchEvent, EVENT_NAME, idOf, payloadOf } from './event'
import { listening } from './listening'

/*
 * One instance of an application that runs in several: ours with each adapter, and what else people put between processes.
 */

export interface Instance {
  /** Listens on 127.0.0.1 and returns the port. A stream names its project in the header `x-project`. */
  listen(): Promise<number>
  /** Gives an event to the streams of all instances. Resolves when the broker has taken it. */
  publish(project: string, event: BenchEvent): Promise<unknown>
  /** Streams that would get an event now. */
  readonly open: number
  /** The place to come back to, where there is a log. */
  cursor?(project: string): Promise<string>
}

const INSTANCES: Record<string, (port: number) => Promise<Instance>> = {
  memory: () => ours(),
  cluster: async () => {
    const { ClusterAdapter } = await import('@entitycast/sse-server/cluster')
    return ours(new ClusterAdapter())
  },
  redis: async (port) => {
    const { RedisAdapter } = await import('@entitycast/sse-server/redis')
    return ours(new RedisAdapter((await import('redis')).createClient({ socket: { host: '127.0.0.1', port } })))
  },
  postgres: async (port) => {
    const [{ PostgresAdapter }, { default: pg }] = await Promise.all([
      import('@entitycast/sse-server/postgres'),
      import('pg'),
    ])
    const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' })
    await migrated(() => pool.query(PostgresAdapter.sql()))
    return ours(new PostgresAdapter({ pool }))
  },
  nats: async (port) => {
    const [{ NatsAdapter }, { connect }] = await Promise.all([
      import('@entitycast/sse-server/nats'),
      import('@nats-io/transport-node'),
    ])
    return ours(new NatsAdapter({ connect: () => connect({ servers: `127.0.0.1:${port}` }) }))
  },
  'plain-redis': plainRedis,
  'socket.io-redis': socketIoRedis,
  'socket.io-streams': socketIoStreams,
}

export function makeInstance(name: string, brokerPort: number): Promise<Instance> {
  const make = INSTANCES[name]
  if (!make) throw new Error(`there is no instance ${name}`)
  return make(brokerPort)
}

/** Everything on, as by default. */
async function ours(adapter?: Adapter): Promise<Instance> {
  const hub = new EventHub({
    // What goes wrong is found by the generator.
    logger: false,
    ...(adapter && { adapter }),
    retention: { events: 2_000 },
    limits: { perUser: 100_000, perIp: 100_000, perProject: 100_000, perProcess: 100_000, connectsPerSecond: 100_000 },
  })
  const authorize = (req: { headers: Record<string, unknown> }) => ({
    projectId: String(req.headers['x-project']),
    userId: 'bench',
  })
  return {
    async listen() {
      // Whoever comes first must not wait for the broker.
      for (const end = Date.now() + 15_000; ; ) {
        try {
          await hub.cursor('first')
          break
        } catch (error) {
          if (Date.now() > end) throw error
        }
      }
      return listening(createServer(eventStream(hub, { authorize })), { exclusive: true })
    },
    publish: (projectId, { entity, id, data }) => hub.publish({ type: EVENT_NAME, entity, id, projectId, data }),
    cursor: (project) => hub.cursor(project),
    get open() {
      return hub.stats().connections
    },
  }
}

/** Two that start at once may both want to make a table: the second one finds it. */
async function migrated(run: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await run()
      return
    } catch (error) {
      if (attempt === 20) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

async function redisClient(port: number) {
  const { createClient } = await import('redis')
  const client = createClient({ socket: { host: '127.0.0.1', port } })
  client.on('error', (error) => console.error(error.message))
  await client.connect()
  return client
}

/** By hand: every process listens to a channel, and writes what comes to each connection. No log: whoever was away has missed it. */
async function plainRedis(port: number): Promise<Instance> {
  const publisher = await redisClient(port)
  const subscriber = await redisClient(port)
  const streams = new Map<string, Set<ServerResponse>>()
  let open = 0
  async function join(project: string, res: ServerResponse): Promise<void> {
    let joined = streams.get(project)
    if (!joined) {
      const own = new Set<ServerResponse>()
      joined = own
      streams.set(project, own)
      await subscriber.subscribe(project, (text) => {
        const { number, payload } = JSON.parse(text)
        const frame = `event: ${EVENT_NAME}\nid: ${idOf({ number } as BenchEvent)}\ndata: ${JSON.stringify(payload)}\n\n`
        for (const one of own) one.write(frame)
      })
    }
    joined.add(res)
    open++
    res.on('close', () => {
      joined.delete(res)
      open--
    })
  }
  return {
    listen: () =>
      listening(
        createServer((req, res) => {
          res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
          res.write('retry: 1000\n\n')
          void join(String(req.headers['x-project']), res)
        }),
      ),
    publish: (project, event) =>
      publisher.publish(project, JSON.stringify({ number: event.number, payload: payloadOf(event) })),
    get open() {
      return open
    },
  }
}

/** socket.io with its adapter for pub/sub, which remembers nothing. */
async function socketIoRedis(port: number): Promise<Instance> {
  const { createAdapter } = await import('@socket.io/redis-adapter')
  const publisher = await redisClient(port)
  const taken = remembered(publisher, 'publish')
  return socketIo(createAdapter(publisher, await redisClient(port)), taken)
}

/** socket.io with its adapter for streams: with a log, from which a client that comes back within two minutes can go on. */
async function socketIoStreams(port: number): Promise<Instance> {
  const { createAdapter } = await import('@socket.io/redis-streams-adapter')
  const publisher = await redisClient(port)
  const taken = remembered(publisher, 'xAdd')
  return socketIo(createAdapter(publisher), taken)
}

/** What a client's call has returned last: `emit` does not say when Redis has its event. */
function remembered(client: object, name: string): () => unknown {
  const call = Reflect.get(client, name) as (...args: unknown[]) => unknown
  let last: unknown
  Reflect.set(client, name, (...args: unknown[]) => {
    last = call.apply(client, args)
    return last
  })
  return () => last
}

async function socketIo(adapter: ServerOptions['adapter'], taken: () => unknown): Promise<Instance> {
  const { Server } = await import('socket.io')
  const server = createServer()
  // The load generator does not answer pings.
  const io = new Server(server, { pingInterval: 3_600_000, transports: ['websocket'], adapter })
  let open = 0
  io.on('connection', (socket) => {
    void socket.join(String(socket.handshake.headers['x-project']))
    open++
    socket.on('disconnect', () => open--)
  })
  return {
    listen: () => listening(server),
    async publish(project, event) {
      io.to(project).emit(EVENT_NAME, payloadOf(event))
      await taken()
    },
    get open() {
      return open
    },
  }
}
