import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'
import { type ProjectEvent, parseCursor } from '@entitycast/sse-protocol'
import type { ClientResponse, Link } from './network'
import { Process } from './process'
import { SeededRandom } from './random'
import type { Snapshot, Source } from './source'
import { Witness } from './witness'
import { LENIENCE_MS, type World } from './world'

interface Shown {
  id: string
  version?: number
  [field: string]: unknown
}

/** What the subscriber must never report: these are not the network's faults. */
const OUR_FAULTS = ['HANDLER_FAILED', 'PROTOCOL', 'INVALID_FRAME', 'INVALID_CURSOR', 'TOO_LARGE', 'RESYNC_UNHEARD']

/** A page in a browser, written as the documentation says: load with a cursor, listen from there, load again on resync. */
export class Page {
  readonly process: Process
  readonly links: Link[] = []
  /** What is to befall the next stream. */
  breakNext: ((link: Link) => void) | undefined
  readonly #witness: Witness
  readonly #source: Source
  readonly #random: SeededRandom
  #subscriber: EventSubscriber | undefined
  #rows: readonly Shown[] = []
  #notes: readonly Shown[] = []
  /** Events that came while the data was loaded again, to be applied after. */
  #held: ProjectEvent[] | undefined
  /** The user has left, or looks at something else: nothing may come. */
  #away = false
  #stopped = false
  /** A handler will close the stream: in the middle of a page if one comes, or after so many events. */
  #closesAfter = 0
  #cursorThen: string | undefined
  #token: string | undefined
  #refusedToken: string | undefined
  /** The next request is for the stream that follows this one, before its grant ends. */
  #renews = false
  /** The server has asked not to be asked again before then. */
  #notBefore = 0
  #jumps = 0
  /** The server does not take the cursor: it must not be sent again, and a resync follows. */
  #refusedCursor: string | undefined
  /** How often that was so, and for how many of them the data was loaded again. */
  #refusals = 0
  #mended = 0
  /** Its handler returns a promise, and events wait for it; or it holds them back itself. */
  readonly #awaits: boolean
  #wake: ((restored: boolean) => void) | undefined

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
    this.#awaits = this.#random.chance(0.5)
    this.#witness = new Witness(this.#source, userId, channels, (message) => this.#fail(message))
  }

  /** The first load: the cursor before the data, each at a moment of its own. */
  load(): void {
    const { world } = this
    const { backend } = world
    const again = () => this.process.run(1_000, () => this.load())
    if (!backend.up) {
      again()
      return
    }
    void backend.hub.cursor(this.projectId).then((since) => {
      backend.server.run(world.random.int(0, 300), () => {
        const snapshot = this.#source.snapshot((scope) => this.#witness.covers(scope))
        this.process.run(world.random.int(1, 300), () => this.#begin(since, snapshot))
      })
    }, again)
    // A server that dies in between leaves the page to ask again.
    this.process.run(5_000, () => {
      if (!this.#subscriber) this.load()
    })
  }

  /** What a user does who was thrown out, or is impatient. */
  again(): void {
    if (this.#stopped || this.#away || !this.#subscriber) return
    if (this.#subscriber.state === 'disconnected') {
      this.#token = undefined
      // Whoever asks for it does not wait for what a renewal was told.
      this.#notBefore = 0
    }
    this.#subscriber.connect()
  }

  /** The user goes elsewhere for a while: the stream is closed, now or by a handler. */
  leave(forMs: number, inHandler: boolean): void {
    if (!this.#subscriber || this.#away || this.#closesAfter > 0) return
    if (inHandler) this.#closesAfter = 30
    else this.#pause(forMs)
  }

  /** The network, or the page, is back. */
  wakes(restored: boolean): void {
    this.process.enter(() => this.#wake?.(restored))
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
    if (!cursor) return false
    // Only heartbeats that are events tell a page of events that it may not see.
    if (!this.world.options.beatsMoveCursors) return this.#witness.atEnd(cursor)
    return cursor.epoch === head?.epoch && cursor.offset >= head.offset
  }

  describe(): string {
    const { state, cursor } = this.#subscriber ?? {}
    const { head, waiting } = this.#source
    const loading = this.#held ? ', loading' : ''
    return `page ${this.index} (${this.userId}) of ${this.projectId} is ${state} at ${cursor}${loading}; the log is at ${head?.epoch}.${head?.offset}, ${waiting} publishes wait`
  }

  /** After each step. */
  check(): void {
    const cursor = this.#subscriber?.cursor
    if (cursor !== undefined && !this.#held) this.#witness.check(cursor)
  }

  /** At the end: what is shown is what is in the database. */
  compare(): void {
    const { rows, notes } = this.#source.snapshot((scope) => this.#witness.covers(scope))
    this.#compare(this.#rows, rows)
    this.#compare(this.#notes, notes)
  }

  #compare(shown: readonly Shown[], truth: Snapshot['rows'] | Snapshot['notes']): void {
    const left = new Map(truth.map((row) => [row.id, row]))
    for (const row of shown) {
      const real = left.get(row.id)
      if (!real) this.#fail(`shows ${row.id}, which is gone`)
      else if ('version' in real && row.version !== real.version)
        this.#fail(`shows version ${row.version} of ${row.id}, which has ${real.version}`)
      else {
        for (const [field, value] of Object.entries(real.fields))
          if (row[field] !== value) this.#fail(`shows ${field} = ${row[field]} of ${row.id}, which has ${value}`)
      }
      left.delete(row.id)
    }
    for (const id of left.keys()) this.#fail(`does not show ${id}`)
  }

  #begin(since: string, snapshot: Snapshot): void {
    if (this.#subscriber || this.#stopped) return
    this.#install(snapshot)
    this.#witness.loaded(snapshot.counts)
    this.#witness.begin(since)
    const { process } = this
    const query = this.channels ? `?channels=${this.channels.join(',')}` : ''
    const subscriber = new EventSubscriber(
      `http://server/stream${query}`,
      {
        projectId: this.projectId,
        since,
        headers: async ({ reason }) => {
          if (reason) this.#token = undefined
          this.#renews = reason === 'expiring'
          this.#token ??= this.world.backend.login(this.userId)
          return { authorization: this.#token, 'x-project': this.projectId }
        },
        fetch: ((url: string, init: { headers: Record<string, string>; signal: AbortSignal }) =>
          this.#fetch(url, init.headers, init.signal)) as never,
      },
      {
        clock: process,
        random: this.#random.next,
        wakes: (onWake) => {
          this.#wake = onWake
          return () => {
            this.#wake = undefined
          }
        },
      },
    )
    this.#subscriber = subscriber
    subscriber.subscribe('*', (event) => this.#receive(event))
    subscriber.on('test:*', (event) => this.#receive(event))
    subscriber.onResync(({ reason }) => this.#resync(reason))
    // Thrown out, the user tries again now and then.
    subscriber.onState((state) => {
      if (state === 'disconnected') process.run(2_000, () => this.again())
    })
    subscriber.onError((error) => {
      if (OUR_FAULTS.includes(error.code))
        this.#fail(`the subscriber reports ${error.code}: ${error.message} ${error.cause ?? ''}`)
    })
    subscriber.connect()
  }

  async #fetch(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<ClientResponse> {
    const { world, process } = this
    const cursor = headers['last-event-id']
    const renews = this.#renews
    this.#renews = false
    const open = this.links.filter((link) => link.clientOpen).length
    if (open > (renews ? 1 : 0)) this.#fail('asks for a stream while it has another one')
    if (renews) world.figures.renewals++
    if (headers.authorization === this.#refusedToken) this.#fail('sends a token again that was refused')
    if (cursor !== undefined && cursor === this.#refusedCursor)
      this.#fail('sends a cursor that the server does not take')
    if (this.#jumps === process.jumps && world.scheduler.time < this.#notBefore - LENIENCE_MS)
      this.#fail(`asks again ${Math.round(this.#notBefore - world.scheduler.time)} ms before the server wants it`)
    const response = await world.request(this, url, headers, signal, (link) => {
      this.links.push(link)
      if (this.links.length > 4) this.links.shift()
      this.breakNext?.(link)
      this.breakNext = undefined
    })
    if (signal.aborted) return response
    if (response.status === 401) this.#refusedToken = headers.authorization
    // A stream that is renewed goes on, and its cursor with it.
    if (!renews && (response.status === 409 || response.status === 431)) {
      this.#refusedCursor = cursor
      this.#refusals++
    }
    const seconds = Number(response.headers.get('retry-after'))
    if (seconds > 0) {
      this.#notBefore = world.scheduler.time + seconds * 1_000
      this.#jumps = process.jumps
    }
    return response
  }

  #install({ rows, notes }: Snapshot): void {
    this.#rows = rows.map(({ id, version, fields }) => ({ id, version, ...fields }))
    this.#notes = notes.map(({ id, fields }) => ({ id, ...fields }))
  }

  #pause(forMs: number): void {
    this.#away = true
    this.#notBefore = 0
    this.#subscriber?.close()
    if (this.process.timers > 0) this.#fail(`close() left ${this.process.timers} timers`)
    this.process.run(forMs, () => {
      this.#away = false
      this.again()
    })
  }

  #resync(reason: string): Promise<void> | undefined {
    const { figures, explained } = this.world
    figures.resyncs[reason] = (figures.resyncs[reason] ?? 0) + 1
    if (this.#away) this.#fail('was told to resync after close()')
    const known = reason === 'bad-cursor' ? this.#refusals > this.#mended : explained.has(reason)
    if (!known) this.#fail(`a resync says "${reason}", which no fault explains`)
    this.#refusedCursor = undefined
    this.#witness.resync()
    const mends = reason === 'bad-cursor' ? this.#refusals : this.#mended
    const held: ProjectEvent[] = []
    this.#held = held
    const loaded = new Promise<void>((resolve) => this.#reload(held, mends, resolve))
    return this.#awaits ? loaded : undefined
  }

  #reload(held: ProjectEvent[], mends: number, done: () => void): void {
    const { world } = this
    const again = (afterMs: number) => this.process.run(afterMs, () => answered || this.#reload(held, mends, done))
    let answered = false
    // Another resync has begun another load.
    if (this.#held !== held || this.#stopped) {
      done()
      return
    }
    if (!world.backend.up) {
      again(1_000)
      return
    }
    world.backend.server.run(world.random.int(1, 300), () => {
      const snapshot = this.#source.snapshot((scope) => this.#witness.covers(scope))
      this.process.run(world.random.int(1, 300), () => {
        answered = true
        if (this.#held === held && !this.#stopped) {
          this.#install(snapshot)
          this.#held = undefined
          for (const event of held) this.#apply(event)
          this.#witness.loaded(snapshot.counts)
          // One that was told when the stream was closed is told again.
          if (this.#subscriber?.state !== 'disconnected') this.#mended = mends
        }
        done()
      })
    })
    again(5_000)
  }

  #receive(event: ProjectEvent): void {
    this.world.figures.delivered++
    if (this.#away) this.#fail(`was given ${event.type} after close()`)
    this.#witness.given(event, this.#subscriber?.cursor)
    if (event.entity !== undefined) {
      if (this.#held && this.#awaits) this.#fail(`was given ${event.type} while its data was loaded again`)
      if (this.#held) this.#held.push(event)
      else this.#apply(event)
    }
    const cursor = this.#subscriber?.cursor
    const midPage = cursor === this.#cursorThen
    this.#cursorThen = cursor
    if (this.#closesAfter === 0 || (--this.#closesAfter > 0 && !midPage)) return
    this.#closesAfter = 0
    this.#witness.endedByHandler()
    this.#pause(this.#random.int(0, 3_000))
  }

  #apply(event: ProjectEvent): void {
    if (event.entity === 'note') this.#notes = applyEntityEvent(this.#notes as Shown[], event)
    if (event.entity !== 'row') return
    const before = this.#rows
    this.#rows = applyEntityEvent(before as Shown[], event)
    for (const row of this.#rows) {
      const version = before.find(({ id }) => id === row.id)?.version ?? 0
      if ((row.version as number) < version) this.#fail(`${row.id} went back from version ${version} to ${row.version}`)
    }
  }

  #fail(message: string): void {
    this.world.fail(`page ${this.index}: ${message}`)
  }
}
