import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'
import { type ProjectEvent, parseCursor } from '@entitycast/sse-protocol'
import type { Link } from './network'
import { Process } from './process'
import { SeededRandom } from './random'
import { idsOf, type Meant, type Row, type Source, versionOf } from './source'
import type { World } from './world'

interface ShownRow {
  id: string
  version: number
  [field: string]: unknown
}

/**
 * A page in a browser, written as the documentation says: load with a cursor, listen from there, load again on resync. It looks over the
 * subscriber's shoulder: whatever the cursor claims to be seen must have been seen.
 */
export class Page {
  readonly process: Process
  readonly links: Link[] = []
  readonly #source: Source
  readonly #random: SeededRandom
  #subscriber: EventSubscriber | undefined
  #rows: readonly ShownRow[] = []
  /** Versions of rows that were shown, also of rows that are gone. */
  readonly #seen = new Map<string, number>()
  /** Versions that handlers were given. */
  readonly #given = new Map<string, number>()
  /** Events that came while the data was loaded again, to be applied after. */
  #held: ProjectEvent[] | undefined
  /** Facts that were received: each once, and in order. */
  readonly #facts = new Set<number>()
  #fact = 0
  /** Up to where the log was compared with what was seen. */
  #verified: { epoch: string; offset: number } | undefined
  #checked = ''
  #stopped = false

  constructor(
    readonly world: World,
    readonly index: number,
    readonly projectId: string,
    readonly userId: string,
    readonly channels: string[] | undefined,
  ) {
    this.process = new Process(world.scheduler)
    this.#source = world.sources.get(projectId) as Source
    this.#random = new SeededRandom(world.random.int(0, 2 ** 31))
  }

  /** The first load: the cursor before the data, each at a moment of its own. */
  load(): void {
    const { world } = this
    const again = () => this.process.run(1_000, () => this.load())
    if (!world.up) {
      again()
      return
    }
    const { server, hub } = world
    void hub.cursor(this.projectId).then((since) => {
      server.run(world.random.int(0, 300), () => {
        const rows = this.#source.snapshot()
        this.process.run(world.random.int(1, 300), () => this.#begin(since, rows))
      })
    }, again)
    // A server that dies in between leaves the page to ask again.
    this.process.run(5_000, () => {
      if (!this.#subscriber) this.load()
    })
  }

  /** What a user does who was thrown out, or is impatient. */
  again(): void {
    if (!this.#stopped) this.#subscriber?.connect()
  }

  close(): void {
    this.#stopped = true
    this.process.wake()
    this.#subscriber?.close()
  }

  /** Connected, nothing to load, and at the log's end. */
  upToDate(): boolean {
    const subscriber = this.#subscriber
    if (subscriber?.state !== 'connected' || this.#held || this.#source.waiting > 0) return false
    const cursor = parseCursor(subscriber.cursor ?? '')
    const { head } = this.#source
    return cursor !== null && cursor.epoch === head?.epoch && cursor.offset >= head.offset
  }

  describe(): string {
    const { state, cursor } = this.#subscriber ?? {}
    const { head, waiting } = this.#source
    const loading = this.#held ? ', loading' : ''
    return `page ${this.index} (${this.userId}) of ${this.projectId} is ${state} at ${cursor}${loading}; the log is at ${head?.epoch}.${head?.offset}, ${waiting} publishes wait`
  }

  /** After each step: everything up to the cursor that this page may see was seen. */
  check(): void {
    const text = this.#subscriber?.cursor
    if (text === undefined || this.#held || (this.#verified && text === this.#checked)) return
    this.#checked = text
    const cursor = parseCursor(text)
    if (!cursor) return
    if (!this.#verified) {
      this.#verified = cursor
      return
    }
    const { epoch, offset } = this.#verified
    if (cursor.epoch !== epoch) {
      this.#fail(`the cursor went from ${epoch}.${offset} to ${cursor.epoch}.${cursor.offset} without a resync`)
      return
    }
    if (cursor.offset < offset) this.#fail(`the cursor went back from ${offset} to ${cursor.offset}`)
    const log = this.#source.log.get(epoch)
    for (let at = offset + 1; at <= cursor.offset; at++)
      for (const meant of log?.get(at) ?? []) this.#checkSeen(meant, at)
    this.#verified = cursor
  }

  /** At the end: what is shown is what is in the database. */
  compare(): void {
    const truth = new Map(this.#source.snapshot().map((row) => [row.id, row]))
    if (!this.#covers({ kind: 'entity', channel: 'default', users: undefined })) return
    for (const row of this.#rows) {
      const real = truth.get(row.id)
      if (!real) this.#fail(`shows ${row.id}, which is gone`)
      else if (row.version !== real.version)
        this.#fail(`shows version ${row.version} of ${row.id}, which has ${real.version}`)
      else {
        for (const [field, value] of Object.entries(real.fields)) {
          if (row[field] !== value) this.#fail(`shows ${field} = ${row[field]} of ${row.id}, which has ${value}`)
        }
      }
      truth.delete(row.id)
    }
    for (const id of truth.keys()) this.#fail(`does not show ${id}`)
  }

  #begin(since: string, rows: Row[]): void {
    if (this.#subscriber || this.#stopped) return
    this.#install(rows)
    this.#verified = parseCursor(since) ?? undefined
    const { world, process } = this
    const query = this.channels ? `?channels=${this.channels.join(',')}` : ''
    const subscriber = new EventSubscriber(
      `http://server/stream${query}`,
      {
        projectId: this.projectId,
        since,
        headers: async () => ({ 'x-user': this.userId, 'x-project': this.projectId }),
        fetch: ((url: string, init: { headers: Record<string, string>; signal: AbortSignal }) =>
          world.request(process, url, init.headers, init.signal, (link) => this.links.push(link))) as never,
      },
      { clock: process, random: this.#random.next, wakes: () => () => {} },
    )
    this.#subscriber = subscriber
    subscriber.subscribe('*', (event) => this.#receive(event))
    subscriber.on('test:fact', (event) => this.#receive(event))
    subscriber.onResync(({ reason }) => this.#resync(reason))
    // Thrown out, the user tries again now and then.
    subscriber.onState((state) => {
      if (state === 'disconnected') process.run(2_000, () => this.again())
    })
    subscriber.onError((error) => {
      if (['HANDLER_FAILED', 'PROTOCOL', 'INVALID_FRAME', 'INVALID_CURSOR', 'TOO_LARGE'].includes(error.code)) {
        this.#fail(`the subscriber reports ${error.code}: ${error.message} ${error.cause ?? ''}`)
      }
    })
    subscriber.connect()
  }

  #install(rows: Row[]): void {
    this.#rows = rows.map(({ id, version, fields }) => ({ id, version, ...fields }))
    for (const [id, version] of this.#source.versions) this.#see(id, version)
  }

  #see(id: string, version: number): void {
    if (version > (this.#seen.get(id) ?? 0)) this.#seen.set(id, version)
  }

  #resync(reason: string): void {
    const { world } = this
    world.figures.resyncs[reason] = (world.figures.resyncs[reason] ?? 0) + 1
    if (reason === 'epoch' && world.epochLost === 0) this.#fail('a resync says "epoch", and no log was lost')
    if (!['epoch', 'expired', 'overflow'].includes(reason))
      this.#fail(`a resync says "${reason}", which no fault explains`)
    this.#verified = undefined
    this.#held = []
    this.#reload(this.#held)
  }

  #reload(held: ProjectEvent[]): void {
    const { world } = this
    // Another resync has begun another load.
    if (this.#held !== held || this.#stopped) return
    const again = () => this.process.run(1_000, () => this.#reload(held))
    if (!world.up) {
      again()
      return
    }
    let answered = false
    world.server.run(world.random.int(1, 300), () => {
      const rows = this.#source.snapshot()
      const versions = [...this.#source.versions]
      this.process.run(world.random.int(1, 300), () => {
        answered = true
        if (this.#held !== held || this.#stopped) return
        this.#rows = rows.map(({ id, version, fields }) => ({ id, version, ...fields }))
        this.#held = undefined
        for (const event of held) this.#apply(event)
        for (const [id, version] of versions) this.#see(id, version)
      })
    })
    this.process.run(5_000, () => {
      if (!answered) this.#reload(held)
    })
  }

  #receive(event: ProjectEvent): void {
    const { world } = this
    world.figures.delivered++
    const data = event.data as { project?: string; fact?: number; users?: string[] } | undefined
    if (event.projectId !== this.projectId || (event.type !== 'entity.deleted' && data?.project !== this.projectId)) {
      this.#fail(`an event of another project: ${JSON.stringify(event).slice(0, 200)}`)
    }
    if (this.channels && !this.channels.includes(event.channel ?? 'default'))
      this.#fail(`an event of the channel ${event.channel}`)
    if (data?.users && !data.users.includes(this.userId))
      this.#fail(`an event for ${data.users}, and this is ${this.userId}`)
    this.#expectNewer(event)
    if (event.type === 'test:fact') this.#receiveFact(data?.fact as number)
    else if (this.#held) this.#held.push(event)
    else this.#apply(event)
  }

  /** Clause 5: what a handler is given of an entity is newer than what it was given before. */
  #expectNewer(event: ProjectEvent): void {
    if (event.entity === undefined) return
    const versions = event.type === 'entity.batch' ? event.versions : [event.version]
    const ids = event.type === 'entity.batch' ? event.ids : [event.id]
    for (const [i, id] of ids.entries()) {
      const version = versions?.[i] ?? 0
      const before = this.#given.get(id) ?? 0
      if (version <= before) this.#fail(`was given version ${version} of ${id} after ${before}`)
      this.#given.set(id, version)
    }
  }

  #receiveFact(fact: number): void {
    if (fact <= this.#fact) this.#fail(`fact ${fact} came after ${this.#fact}`)
    this.#fact = fact
    this.#facts.add(fact)
  }

  #apply(event: ProjectEvent): void {
    if (event.entity === undefined) return
    const before = new Map(this.#rows.map((row) => [row.id, row.version]))
    this.#rows = applyEntityEvent(this.#rows as ShownRow[], event as never) as ShownRow[]
    for (const row of this.#rows) {
      const version = before.get(row.id)
      if (version !== undefined && row.version < version)
        this.#fail(`${row.id} went back from version ${version} to ${row.version}`)
      this.#see(row.id, row.version)
    }
    if (event.id !== null && event.version !== undefined) this.#see(event.id, event.version)
    if (event.type === 'entity.batch')
      for (const [i, id] of event.ids.entries()) this.#see(id, event.versions?.[i] ?? 0)
  }

  #checkSeen(meant: Meant, offset: number): void {
    if (!this.#covers(meant)) return
    if (meant.kind === 'fact') {
      const fact = meant.fact as number
      if (!this.#facts.has(fact))
        this.#fail(`the cursor is past offset ${offset}, but fact ${fact} was not seen (the last was ${this.#fact})`)
      return
    }
    for (const id of idsOf(meant)) {
      const version = versionOf(meant, id) as number
      if ((this.#seen.get(id) ?? 0) < version) {
        this.#fail(
          `the cursor is past offset ${offset}, but version ${version} of ${id} was not seen (${this.#seen.get(id)} was)`,
        )
      }
    }
  }

  #covers({ channel, users }: Pick<Meant, 'channel' | 'users'> & { kind: string }): boolean {
    return (!this.channels || this.channels.includes(channel)) && (!users || users.includes(this.userId))
  }

  #fail(message: string): void {
    this.world.fail(`page ${this.index}: ${message}`)
  }
}
