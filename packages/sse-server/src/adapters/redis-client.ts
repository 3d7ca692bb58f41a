import { HubError } from '@entitycast/sse-server'

/*
 * The two client libraries behind one narrow interface. What we are given is the team's client, with their address, credentials, TLS
 * and sentinels; what we use are duplicates of it. Their own connection is left alone: a blocking command on it must not hold events
 * up, and a client that sends a command again by itself would append an event twice. Nothing is imported from either library.
 */

/** A client of `redis` (node-redis) or `ioredis`: for one server, behind sentinels, or for a cluster. */
export interface RedisClientLike {
  duplicate(...overrides: never[]): unknown
}

/** One connection, or one set of them to the nodes of a cluster. It never reconnects by itself. */
export interface Wire {
  /** Resolves once commands can be sent. */
  connect(): Promise<void>
  /** Sends a command to the node that has this key. */
  send(key: string, args: readonly string[]): Promise<unknown>
  /** Has every node know a script, as far as that can be done at once. */
  load(text: string): Promise<unknown>
  subscribe(channels: readonly string[]): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  ping(): Promise<unknown>
  destroy(): void
}

/** What a wire tells. */
export interface WireListener {
  message(channel: string, text: string): void
  /** It is broken; called at least once then, perhaps with why. */
  lost(error?: unknown): void
}

export interface Dialer {
  /** Whether the client speaks to a cluster. */
  readonly cluster: boolean
  /** The database, which does not keep channels apart. */
  readonly database: number
  /** What the client puts before every key. */
  readonly keyPrefix: string
  /** A wire of its own, not yet connected. With `sharded` it subscribes to sharded channels. */
  dial(listener: WireListener, sharded: boolean): Wire
}

type Events = { on(name: string, listener: (...args: never[]) => void): unknown }
type Call = (...args: unknown[]) => Promise<unknown>

interface NodeRedis extends Events {
  readonly isReady: boolean
  readonly options?: { socket?: object; database?: number; keyPrefix?: unknown }
  duplicate(overrides: object): NodeRedis
  connect: Call
  sendCommand: Call
  subscribe: Call
  unsubscribe: Call
  sSubscribe: Call
  sUnsubscribe: Call
  ping: Call
  destroy(): void
}

interface NodeRedisCluster extends NodeRedis {
  readonly masters: readonly unknown[]
  readonly _options?: { defaults?: { socket?: object }; keyPrefix?: unknown }
  nodeClient(node: unknown): Promise<NodeRedis> | NodeRedis
}

interface NodeRedisSentinel extends NodeRedis {
  readonly _keyPrefix?: unknown
}

interface IoRedis extends Events {
  readonly isCluster: boolean
  readonly options: { db?: number; keyPrefix?: string; redisOptions?: { keyPrefix?: string } }
  duplicate(...overrides: unknown[]): IoRedis
  nodes(role: string): IoRedis[]
  connect: Call
  call: Call
  subscribe: Call
  unsubscribe: Call
  ssubscribe: Call
  sunsubscribe: Call
  ping: Call
  disconnect(): void
}

/** @throws HubError `INVALID_OPTION` for what is no client of either library */
export function dialerOf(client: unknown): Dialer {
  const has = (name: string) => typeof (client as Record<string, unknown> | undefined)?.[name] === 'function'
  const given = typeof client === 'object' && client !== null && has('duplicate')
  if (given && has('call') && 'status' in client) return ioRedis(client as unknown as IoRedis)
  if (given && has('nodeClient') && 'masters' in client) return nodeRedisCluster(client as unknown as NodeRedisCluster)
  if (given && has('acquire') && 'isReady' in client) return nodeRedisSentinel(client as unknown as NodeRedisSentinel)
  if (given && has('sendCommand') && 'isReady' in client) return nodeRedis(client as unknown as NodeRedis)
  throw new HubError(
    'INVALID_OPTION',
    'client is no client of redis or ioredis; give what createClient(), createSentinel(), createCluster(), new Redis() or new Redis.Cluster() returns',
  )
}

/** The team's settings but for what would send a command twice, hold it back, or change what replies look like. */
const NODE_REDIS = { disableOfflineQueue: true, keyPrefix: undefined, clientSideCache: undefined, commandOptions: {} }

function nodeRedis(client: NodeRedis): Dialer {
  const { socket, database = 0, keyPrefix } = client.options ?? {}
  return {
    cluster: false,
    database,
    keyPrefix: keyPrefix === undefined ? '' : String(keyPrefix),
    dial: (listener) => {
      const own = client.duplicate({ ...NODE_REDIS, socket: { ...socket, reconnectStrategy: false } })
      const check = (error?: unknown) => own.isReady || listener.lost(error)
      for (const event of ['error', 'end', 'terminated']) own.on(event, check)
      const hear = (text: string, channel: string) => listener.message(channel, text)
      return {
        connect: async () => void (await own.connect()),
        send: (_, args) => own.sendCommand(args),
        load: (text) => own.sendCommand(['SCRIPT', 'LOAD', text]),
        subscribe: (channels) => own.subscribe(channels, hear),
        // With the listener: only then it knows that a subscription which comes next is a new one.
        unsubscribe: (channel) => own.unsubscribe(channel, hear),
        ping: () => own.ping(),
        destroy: () => quietly(() => own.destroy()),
      }
    },
  }
}

function nodeRedisCluster(client: NodeRedisCluster): Dialer {
  const { defaults, keyPrefix } = client._options ?? {}
  return {
    cluster: true,
    database: 0,
    keyPrefix: keyPrefix === undefined ? '' : String(keyPrefix),
    dial: (listener, sharded) => {
      const own = client.duplicate({
        keyPrefix: undefined,
        clientSideCache: undefined,
        commandOptions: {},
        minimizeConnections: true,
        defaults: { ...defaults, disableOfflineQueue: true },
      }) as NodeRedisCluster
      // One node's loss is the library's to mend, and is seen here as commands that fail.
      own.on('error', () => {})
      const hear = (text: string, channel: string) => listener.message(channel, text)
      return {
        connect: async () => void (await own.connect()),
        send: (key, args) => own.sendCommand(key, false, args),
        load: async (text) => {
          for (const master of own.masters) await (await own.nodeClient(master)).sendCommand(['SCRIPT', 'LOAD', text])
        },
        // Each on its own: channels of different slots are different nodes'.
        subscribe: (channels) =>
          Promise.all(
            channels.map((channel) => (sharded ? own.sSubscribe(channel, hear) : own.subscribe(channel, hear))),
          ),
        unsubscribe: (channel) => (sharded ? own.sUnsubscribe(channel, hear) : own.unsubscribe(channel, hear)),
        ping: async () => {},
        destroy: () => quietly(() => own.destroy()),
      }
    },
  }
}

function nodeRedisSentinel(client: NodeRedisSentinel): Dialer {
  return {
    cluster: false,
    database: 0,
    keyPrefix: client._keyPrefix === undefined ? '' : String(client._keyPrefix),
    dial: (listener) => {
      const own = client.duplicate({
        keyPrefix: undefined,
        commandOptions: {},
        // Without that limit it would send a command again by itself after a failover.
        maxCommandRediscovers: 0,
        // One connection, always the same: of several, or of one that is lent for each command, commands overtake each other.
        masterPoolSize: 1,
        reserveClient: true,
      })
      own.on('error', () => {})
      const hear = (text: string, channel: string) => listener.message(channel, text)
      return {
        connect: async () => void (await own.connect()),
        send: (_, args) => own.sendCommand(false, args),
        load: (text) => own.sendCommand(false, ['SCRIPT', 'LOAD', text]),
        subscribe: (channels) => own.subscribe(channels, hear),
        unsubscribe: (channel) => own.unsubscribe(channel, hear),
        ping: () => own.sendCommand(false, ['PING']),
        // Here it answers with a promise.
        destroy: () => void Promise.resolve(own.destroy()).catch(() => {}),
      }
    },
  }
}

const IO_REDIS = {
  lazyConnect: true,
  keyPrefix: '',
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  commandTimeout: undefined,
  reconnectOnError: null,
  retryStrategy: () => null,
}

function ioRedis(client: IoRedis): Dialer {
  const { options, isCluster } = client
  return {
    cluster: isCluster,
    database: isCluster ? 0 : (options.db ?? 0),
    keyPrefix: options.keyPrefix || options.redisOptions?.keyPrefix || '',
    dial: (listener, sharded) => {
      const own = isCluster
        ? client.duplicate([], {
            lazyConnect: true,
            keyPrefix: '',
            enableOfflineQueue: false,
            enableAutoPipelining: false,
            retryDelayOnFailover: 0,
            clusterRetryStrategy: () => null,
            scaleReads: 'master',
            shardedSubscribers: sharded,
            redisOptions: { keyPrefix: '', enableAutoPipelining: false, autoResendUnfulfilledCommands: false },
          })
        : client.duplicate(IO_REDIS)
      let trouble: unknown
      own.on('error', (error: unknown) => {
        trouble = error
      })
      own.on('end', () => listener.lost(trouble))
      const hear = (channel: string, text: string) => listener.message(channel, text)
      own.on(sharded ? 'smessage' : 'message', hear)
      return {
        connect: async () => void (await own.connect()),
        send: (_, args) => own.call(...args),
        load: (text) =>
          Promise.all((isCluster ? own.nodes('master') : [own]).map((node) => node.call('SCRIPT', 'LOAD', text))),
        subscribe: (channels) =>
          sharded ? Promise.all(channels.map((channel) => own.ssubscribe(channel))) : own.subscribe(...channels),
        unsubscribe: (channel) => (sharded ? own.sunsubscribe(channel) : own.unsubscribe(channel)),
        ping: () => (isCluster ? Promise.resolve() : own.ping()),
        destroy: () => quietly(() => own.disconnect()),
      }
    },
  }
}

function quietly(end: () => void): void {
  try {
    end()
  } catch {
    // It was closed already, or never open.
  }
}

/**
 * Why Redis failed, in a word: `ECONNREFUSED`, `OOM`, `NOAUTH`. Never the error's own text or fields, which hold what was sent: records,
 * and, in the error of a refused AUTH, the password.
 */
export function reasonOf(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  if (typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code)) return code
  // Inside of a script Redis says it in a sentence.
  if (typeof message === 'string' && message.includes("user executing the script can't run")) return 'NOPERM'
  const word = typeof message === 'string' ? /^[A-Z]{3,20}\b/.exec(message)?.[0] : undefined
  return word ?? (error as object | undefined)?.constructor.name ?? 'unknown'
}
