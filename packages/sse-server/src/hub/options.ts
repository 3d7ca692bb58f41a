import { assertChannel, type EventDefinitions, quote } from '@entitycast/sse-protocol'
import type { Adapter, Retention } from '../seams/adapter'
import type { Logger, Ports } from '../seams/ports'
import { HubError } from './error'

/** How many streams may be open, and how fast they may come. Over it: 429 or 503 with `Retry-After`. */
export interface ConnectionLimits {
  /** Open streams of one user in one project; one whose peer seems to be gone makes room. Default 10. */
  perUser: number | false
  /** Open streams from one address; of IPv6 from one /64, which is what one customer has. Default 100. */
  perIp: number | false
  /** Open streams of one project. Default off. */
  perProject: number | false
  /** Open streams in this process. Default 50,000. */
  perProcess: number | false
  /**
   * New streams a second in this process; as many again may come at once, and as many may wait for `authorize`. Above it the application
   * is not asked. Default 2,000.
   */
  connectsPerSecond: number | false
}

/** How users come and go. */
export interface PresenceOptions {
  /** A user who is back within so long, in milliseconds, 0 to 300,000, has not left. Default 10,000: a reload, a change of networks, a deploy. */
  graceMs?: number | undefined
  /** The channel of `user:joined` and `user:left`: only streams that are granted it see them. Default `presence`. */
  channel?: string | undefined
}

/** `undefined` is as good as nothing, also with `exactOptionalPropertyTypes`: what is read from the environment may be missing. */
type Some<Options> = { [Name in keyof Options]?: Options[Name] | undefined }

/** Options of `new EventHub()`. All have defaults; one that is bad or misspelt throws `INVALID_OPTION`. */
export interface EventHubOptions<Definitions extends EventDefinitions = EventDefinitions> {
  /** Where the log is kept. Default: this process's memory. */
  adapter?: Adapter | undefined
  /** What may be published, from `defineEvents`. Default: any entity, any named type. */
  events?: Definitions | undefined
  /** Milliseconds between heartbeats, 100 to 300,000; `false` for none. Default 15,000: under the idle limits of common proxies. */
  heartbeatIntervalMs?: number | false | undefined
  /** `event` moves cursors and reaches scripts; `comment` sends `:keepalive` for clients that cannot bear unknown events. Default `event`. */
  heartbeat?: 'event' | 'comment' | undefined
  /** What is kept for readers who come back. Default 5 min, 1,000 events, 1 MiB a project, whichever ends first. */
  retention?: Some<Retention> | undefined
  /** See {@link ConnectionLimits}; `false` for none at all. */
  limits?: Some<ConnectionLimits> | false | undefined
  /** The largest event, in bytes of its JSON. Default 65,536. */
  maxEventBytes?: number | undefined
  /**
   * Updates of one entity published within this time enter the log as one, as far as `maxEventBytes` allows; in milliseconds, up to 10,000.
   * Default `false`: each at once.
   */
  conflateWindowMs?: number | false | undefined
  /** How long a stream lives, ± 20 %, before the client is asked to open it anew. Default 600,000 (10 min); `false` for ever. */
  maxAgeMs?: number | false | undefined
  /** A socket that took nothing for so long is closed. Default 30,000. */
  stallTimeoutMs?: number | undefined
  /** The `retry:` of each stream: how long a browser waits before it reconnects, in milliseconds. Default 1,000. */
  retryMs?: number | undefined
  /**
   * Publishes `user:joined` and `user:left`, and answers `hub.presence()`: see {@link PresenceOptions}. `true` for its defaults. Default `false`.
   * The same for all instances of one application.
   */
  presence?: boolean | PresenceOptions | undefined
  /**
   * An instance that the others have not heard for so long, in milliseconds, 500 to 300,000, counts as crashed, and its users as gone. Each says a word
   * three times in that time. Default 15,000. The same for all instances of one application.
   */
  instanceTtlMs?: number | undefined
  /** Where warnings go. Default: `console`. `false` for silence. */
  logger?: Logger | false | undefined
  /** Clock and randomness, for simulations. Default: the system's. */
  ports?: Some<Ports> | undefined
}

/** The options with every default in its place. */
export interface HubSettings {
  readonly heartbeatIntervalMs: number
  readonly heartbeat: 'event' | 'comment'
  readonly retention: Retention
  readonly limits: Readonly<Record<keyof ConnectionLimits, number>>
  readonly maxEventBytes: number
  readonly conflateWindowMs: number
  readonly maxAgeMs: number
  readonly stallTimeoutMs: number
  readonly retryMs: number
  readonly presence: Required<PresenceOptions> | undefined
  readonly instanceTtlMs: number
  readonly logger: Logger
}

const KNOWN = new Set<string>([
  'adapter',
  'events',
  'heartbeatIntervalMs',
  'heartbeat',
  'retention',
  'limits',
  'maxEventBytes',
  'conflateWindowMs',
  'maxAgeMs',
  'stallTimeoutMs',
  'retryMs',
  'presence',
  'instanceTtlMs',
  'logger',
  'ports',
] satisfies (keyof EventHubOptions)[])

const LIMITS: ConnectionLimits = {
  perUser: 10,
  perIp: 100,
  perProject: false,
  perProcess: 50_000,
  connectsPerSecond: 2_000,
}
const NO_LIMITS: ConnectionLimits = {
  perUser: false,
  perIp: false,
  perProject: false,
  perProcess: false,
  connectsPerSecond: false,
}
const SILENT: Logger = { warn() {}, error() {} }
const CONSOLE: Logger = {
  warn: (message, details) => console.warn(`[entitycast] ${message}`, ...(details ? [details] : [])),
  error: (message, details) => console.error(`[entitycast] ${message}`, ...(details ? [details] : [])),
}

/** @throws HubError `INVALID_OPTION` */
export function readOptions(options: EventHubOptions): HubSettings {
  assertShapes(options)
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) throw invalid(`${name} is not an option of EventHub; there are ${[...KNOWN].join(', ')}`)
  }
  const maxEventBytes = whole('maxEventBytes', options.maxEventBytes ?? 65_536, 256, 16_777_216)
  const { name = '', maxRecordBytes = Number.POSITIVE_INFINITY } = options.adapter?.manifest ?? {}
  if (maxEventBytes > maxRecordBytes) {
    throw invalid(`maxEventBytes is ${maxEventBytes}; the ${name} adapter takes at most ${maxRecordBytes}`)
  }
  const { ageMs = 300_000, events = 1_000, bytes = 1_048_576, ...rest } = options.retention ?? {}
  for (const name of Object.keys(rest))
    throw invalid(`retention.${name} is not an option; there are ageMs, events, bytes`)
  const heartbeat = options.heartbeat ?? 'event'
  if (heartbeat !== 'event' && heartbeat !== 'comment')
    throw invalid(`heartbeat is ${quote(heartbeat)}; it must be 'event' or 'comment'`)
  return {
    heartbeatIntervalMs: off(
      options.heartbeatIntervalMs,
      15_000,
      (value) => whole('heartbeatIntervalMs', value, 100, 300_000),
      0,
    ),
    heartbeat,
    retention: {
      ageMs: whole('retention.ageMs', ageMs, 1, 86_400_000),
      events: whole('retention.events', events, 1, 1_000_000),
      bytes: whole(
        'retention.bytes',
        bytes,
        maxEventBytes,
        1_073_741_824,
        'at least maxEventBytes, so that the newest event is always kept',
      ),
    },
    limits: readLimits(options.limits),
    maxEventBytes,
    conflateWindowMs: off(options.conflateWindowMs, false, (value) => whole('conflateWindowMs', value, 1, 10_000), 0),
    maxAgeMs: off(
      options.maxAgeMs,
      600_000,
      (value) => whole('maxAgeMs', value, 1_000, 86_400_000),
      Number.POSITIVE_INFINITY,
    ),
    stallTimeoutMs: whole('stallTimeoutMs', options.stallTimeoutMs ?? 30_000, 100, 600_000),
    retryMs: whole('retryMs', options.retryMs ?? 1_000, 0, 300_000),
    presence: readPresence(options.presence ?? false),
    instanceTtlMs: whole('instanceTtlMs', options.instanceTtlMs ?? 15_000, 500, 300_000),
    logger: readLogger(options.logger),
  }
}

/** What would not be missed otherwise before it is too late: `{ limits: 5 }` would have the default ones. */
function assertShapes(options: EventHubOptions): void {
  if (!isObject(options)) throw invalid(`the options are ${quote(options)}; they must be an object, or be left out`)
  const { adapter, events, retention, limits, ports } = options
  for (const [name, value] of Object.entries({
    adapter,
    events,
    retention,
    ports,
    limits: limits === false ? undefined : limits,
  })) {
    if (value !== undefined && !isObject(value)) throw invalid(`${name} is ${quote(value)}; it must be an object`)
  }
  for (const kind of ['entities', 'named'] as const) {
    if (events && !isObject(events[kind]))
      throw invalid(`events.${kind} is ${quote(events[kind])}; make events with defineEvents`)
  }
  for (const method of ['start', 'append', 'open', 'read', 'close'] as const) {
    if (adapter && typeof adapter[method] !== 'function')
      throw invalid(`adapter has no ${method}(); make it with memory, redis …`)
  }
  if (!ports) return
  const { clock, random, randomId } = ports
  const isClock = (['now', 'monotonic', 'defer', 'after'] as const).every(
    (method) => typeof clock?.[method] === 'function',
  )
  if (clock !== undefined && !isClock)
    throw invalid(`ports.clock is ${quote(clock)}; it must have now, monotonic, defer and after`)
  for (const [name, value] of Object.entries({ random, randomId })) {
    if (value !== undefined && typeof value !== 'function')
      throw invalid(`ports.${name} is ${quote(value)}; it must be a function`)
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readLimits(limits: EventHubOptions['limits']): HubSettings['limits'] {
  const given: ConnectionLimits = limits === false ? NO_LIMITS : { ...LIMITS, ...limits }
  const read = {} as Record<keyof ConnectionLimits, number>
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(LIMITS, name))
      throw invalid(`limits.${name} is not a limit; there are ${Object.keys(LIMITS).join(', ')}`)
    read[name as keyof ConnectionLimits] = off(
      value,
      LIMITS[name as keyof ConnectionLimits],
      (one) => whole(`limits.${name}`, one, 1, 10_000_000),
      Number.POSITIVE_INFINITY,
    )
  }
  return read
}

function readPresence(presence: boolean | PresenceOptions): HubSettings['presence'] {
  if (presence === false) return undefined
  if (presence !== true && (typeof presence !== 'object' || presence === null))
    throw invalid(`presence is ${quote(presence)}; it must be true, false or { graceMs, channel }`)
  const { graceMs = 10_000, channel = 'presence', ...rest } = presence === true ? {} : presence
  for (const name of Object.keys(rest)) throw invalid(`presence.${name} is not an option; there are graceMs, channel`)
  try {
    assertChannel(channel)
  } catch (error) {
    throw invalid(`presence: ${(error as Error).message}`)
  }
  return { graceMs: whole('presence.graceMs', graceMs, 0, 300_000), channel }
}

function readLogger(logger: Logger | false | undefined): Logger {
  if (logger === false) return SILENT
  if (logger === undefined) return CONSOLE
  if (typeof logger?.warn !== 'function' || typeof logger.error !== 'function') {
    throw invalid(
      `logger is ${quote(logger)}; it must have warn(message, details) and error(message, details), as console has`,
    )
  }
  // S8: a logger that throws must not stop the fan-out, and one that rejects must not end the process.
  const safely = (write: (message: string, details?: object) => unknown) => (message: string, details?: object) => {
    try {
      Promise.resolve(write(message, details)).catch(() => {})
    } catch {}
  }
  return { warn: safely((...args) => logger.warn(...args)), error: safely((...args) => logger.error(...args)) }
}

function off<Off>(
  value: number | false | undefined,
  fallback: number | false,
  read: (value: number) => number,
  whenOff: Off,
): number | Off {
  const chosen = value ?? fallback
  return chosen === false ? whenOff : read(chosen)
}

function whole(name: string, value: number, least: number, most: number, why = ''): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw invalid(`${name} is ${quote(value)}; it must be a whole number from ${least} to ${most}${why && `: ${why}`}`)
}

function invalid(message: string): HubError {
  return new HubError('INVALID_OPTION', message)
}
