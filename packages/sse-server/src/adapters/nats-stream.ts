import { HubError, type Retention } from '@entitycast/sse-server'
import { pause } from './nats-link'
import type { NatsNames } from './nats-options'
import { JetStreamError, NO_STREAM, NoAnswer, NotAllowed, type Wire } from './nats-wire'

/** The largest message that we send, without its conditions: what a server takes as it comes. */
export const MAX_MESSAGE_BYTES = 1_047_552
/** Messages of a project beyond those that hold its events: where a log begins, and where it was kept alive. */
const SPARE_MESSAGES = 24
/** How often a stream that could not be made is looked for: half a second, in which whoever makes it is done, also where the server is busy. */
const RACE_TRIES = 20
/**
 * So long a stream that was there stays gone before it is made anew, in milliseconds. A server says that it is gone before it is done with deleting
 * it, and takes the files of one that is made meanwhile; and 2.9 ends when somebody reads from one that is being made: by then whoever uses it has noticed.
 */
const GONE_MS = 1_000

/** A stream's configuration, as `nats stream add --config` takes it. */
export interface NatsStreamConfig {
  readonly name: string
  readonly subjects: string[]
  readonly storage: 'file'
  readonly retention: 'limits'
  readonly discard: 'old'
  readonly max_msgs_per_subject: number
  readonly max_msgs: number
  readonly max_bytes: number
  readonly max_age: number
  readonly max_msg_size: number
  readonly max_consumers: number
  readonly num_replicas: number
  readonly duplicate_window: number
  readonly republish: { readonly src: string; readonly dest: string }
}

export interface StreamNeeds extends Required<NatsNames> {
  readonly replicas: number
  readonly retention: Retention
}

export function streamConfig({ stream, subjectPrefix, replicas, retention }: StreamNeeds): NatsStreamConfig {
  return {
    name: stream,
    subjects: [`${subjectPrefix}.log.*`],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    max_msgs_per_subject: retention.events + SPARE_MESSAGES,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    max_msg_size: -1,
    max_consumers: -1,
    num_replicas: replicas,
    // In nanoseconds: twice the longest timeout, in which a message may be sent again.
    duplicate_window: 120_000_000_000,
    republish: { src: `${subjectPrefix}.log.*`, dest: `${subjectPrefix}.live.{{wildcard(1)}}` },
  }
}

/**
 * Makes the stream where it is missing, lets one that we have made hold more where the retention was raised, and refuses one that would break
 * the contract.
 *
 * @throws HubError `STREAM_MISSING`, `STREAM_UNSUITABLE`, `UNSUPPORTED`
 */
export async function prepareStream(wire: Wire, needs: StreamNeeds, goneAt = Number.NEGATIVE_INFINITY): Promise<void> {
  if (wire.maxPayload < 1_048_576) {
    throw new HubError('UNSUPPORTED', `NATS takes messages of ${wire.maxPayload} bytes; set max_payload to 1MB or more`)
  }
  const wanted = streamConfig(needs)
  const there = (await find(wire, needs.stream, goneAt)) ?? (await create(wire, wanted))
  const found = isOursForLess(there, wanted) ? await grow(wire, there, wanted) : there
  wire.isReplicated = Number(found.num_replicas ?? 1) > 1
  const faults = faultsOf(found, wanted)
  if (faults.length === 0) return
  const { max_msgs_per_subject } = wanted
  const isTooSmallOnly = faultsOf({ ...found, max_msgs_per_subject }, wanted).length === 0
  const edit = `nats stream edit ${needs.stream}`
  throw new HubError(
    'STREAM_UNSUITABLE',
    `The stream ${needs.stream} would break what is promised: ${faults.join('; ')}. ${
      isTooSmallOnly
        ? `Mend it: ${edit} --max-msgs-per-subject=${max_msgs_per_subject}`
        : `Mend it with ${edit}, or delete it, and it is made anew`
    }`,
  )
}

/** Whether a stream is as we make it, for a retention of fewer events. */
function isOursForLess(found: Record<string, unknown>, wanted: NatsStreamConfig): boolean {
  const size = Number(found.max_msgs_per_subject)
  if (!(size > SPARE_MESSAGES && size < wanted.max_msgs_per_subject)) return false
  // How many copies there are is for whoever runs NATS to say.
  const { max_msgs_per_subject, num_replicas, ...same } = wanted
  return Object.entries(same).every(([name, value]) => JSON.stringify(found[name]) === JSON.stringify(value))
}

/** Lets a stream hold as much as is wanted, and changes nothing else: what it is now, as it was where that is not allowed. */
async function grow(
  wire: Wire,
  found: Record<string, unknown>,
  { name, max_msgs_per_subject }: NatsStreamConfig,
): Promise<Record<string, unknown>> {
  try {
    const { config } = await wire.api(`STREAM.UPDATE.${name}`, { ...found, max_msgs_per_subject })
    return config as Record<string, unknown>
  } catch (error) {
    if (!(error instanceof JetStreamError || error instanceof NotAllowed)) throw error
    return found
  }
}

/** The stream; where it has just gone, what is there after a while. */
async function find(wire: Wire, stream: string, goneAt: number): Promise<Record<string, unknown> | undefined> {
  const found = await ask(wire, 'INFO', stream)
  const waitMs = goneAt + GONE_MS - performance.now()
  if (found || waitMs <= 0) return found
  await new Promise((resolve) => {
    setTimeout(resolve, waitMs).unref()
  })
  return ask(wire, 'INFO', stream)
}

async function create(wire: Wire, wanted: NatsStreamConfig): Promise<Record<string, unknown>> {
  try {
    return configOf(await wire.api(`STREAM.CREATE.${wanted.name}`, wanted))
  } catch (error) {
    // Another instance makes it at this moment: it may be there under its name, or only its subjects be taken.
    for (let tries = 0; error instanceof JetStreamError && tries < RACE_TRIES; tries++) {
      const found = await ask(wire, 'INFO', wanted.name)
      if (found) return found
      await pause()
    }
    if (!(error instanceof JetStreamError || error instanceof NotAllowed)) throw error
    throw new HubError(
      'STREAM_MISSING',
      `There is no stream ${wanted.name}, and it could not be made (${error.message}). Make it: nats stream add --config stream.json, with this in the file: ${JSON.stringify(wanted)}`,
    )
  }
}

async function ask(wire: Wire, what: string, stream: string): Promise<Record<string, unknown> | undefined> {
  try {
    return configOf(await wire.api(`STREAM.${what}.${stream}`))
  } catch (error) {
    if (error instanceof JetStreamError && error.code === NO_STREAM) return undefined
    if (!(error instanceof NotAllowed)) throw error
    throw new HubError('STREAM_MISSING', `The stream ${stream} cannot be seen: NATS ${error.message}`)
  }
}

/** How a stream is that can be used. */
function configOf({ config, created }: Record<string, unknown>): Record<string, unknown> {
  // One that somebody else is making has no date yet, and 2.9 ends when it is read.
  if (String(created).startsWith('0001-')) throw new NoAnswer(true, 'is making the stream')
  return config as Record<string, unknown>
}

/** What of a stream would break the contract, and how it should be. */
function faultsOf(found: Record<string, unknown>, wanted: NatsStreamConfig): string[] {
  const faults: string[] = []
  const must = (holds: boolean, name: keyof NatsStreamConfig, say = 'must be') => {
    if (!holds)
      faults.push(`${name} is ${JSON.stringify(found[name] ?? null)}, and ${say} ${JSON.stringify(wanted[name])}`)
  }
  const limit = (name: keyof NatsStreamConfig) => {
    const value = Number(found[name] ?? 0)
    return value <= 0 ? Number.POSITIVE_INFINITY : value
  }
  const { src, dest, headers_only } = (found.republish ?? {}) as Record<string, unknown>
  must(JSON.stringify(found.subjects) === JSON.stringify(wanted.subjects), 'subjects')
  must(src === wanted.republish.src && dest === wanted.republish.dest && !headers_only, 'republish')
  must(found.storage === 'file', 'storage')
  must(found.retention === 'limits', 'retention')
  must(found.discard === 'old', 'discard')
  must(limit('max_age') === Number.POSITIVE_INFINITY, 'max_age')
  must(limit('max_msgs_per_subject') >= wanted.max_msgs_per_subject, 'max_msgs_per_subject', 'must be at least')
  must(Number(found.duplicate_window ?? 0) >= wanted.duplicate_window, 'duplicate_window', 'must be at least')
  must(limit('max_msg_size') > MAX_MESSAGE_BYTES, 'max_msg_size')
  if (found.no_ack === true) faults.push('no_ack is true, and must be false')
  if (found.sealed === true) faults.push('it is sealed')
  if (found.mirror) faults.push('it is a mirror')
  // Of another log: they would come between ours.
  if (Array.isArray(found.sources) && found.sources.length > 0) {
    faults.push('it takes messages from other streams (sources)')
  }
  // What is kept under another name is not found again.
  if (found.subject_transform) {
    faults.push(`subject_transform is ${JSON.stringify(found.subject_transform)}, and must be absent`)
  }
  // The server says yes before it has written: killed, it may have lost what it took.
  if (found.persist_mode === 'async') faults.push('persist_mode is "async", and must be "default"')
  return faults
}
