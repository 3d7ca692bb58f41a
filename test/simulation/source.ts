import { type Cursor, parseCursor } from '@entitycast/sse-protocol'
import { CHANNELS, type World } from './world'

/** A row of the database that pages show. */
export interface Row {
  id: string
  version: number
  fields: Record<string, number>
}

/** A row of a table that counts no versions. */
export interface Note {
  id: string
  fields: Record<string, number>
}

/** Who may see something. */
export interface Scope {
  readonly channel: string
  readonly users: readonly string[] | undefined
}

/** How far something has counted: fact 1, 2, 3 … of the project, the versions of a row, the changes of the notes, a gauge's values. */
export interface Mark {
  readonly name: string
  readonly count: number
}

/** What the log holds at one offset, as the publisher meant it. */
export interface Meant extends Scope {
  readonly marks: readonly Mark[]
}

/** What a page that loads its data is given. */
export interface Snapshot {
  readonly rows: Row[]
  readonly notes: Note[]
  /** Up to where the data has counted. */
  readonly counts: ReadonlyMap<string, number>
}

interface Publication {
  readonly meant: Meant
  readonly send: () => Promise<string>
}

const EVERYONE: Scope = { channel: 'default', users: undefined }
const ROWS = ['a', 'b:1', 'c', '__proto__', 'é']
/** Of a note and of a gauge the name says who may see it. */
const NOTES = new Map<string, Scope>([
  ['n1', EVERYONE],
  ['n2', EVERYONE],
  ['n3', { channel: 'locks', users: undefined }],
  ['n4', { channel: 'default', users: ['u1'] }],
])
const GAUGES = new Map<string, Scope>([
  ['load', { channel: 'audit', users: undefined }],
  ['inbox', { channel: 'default', users: ['u2'] }],
])

/** A project's database, and the application that changes it and says so. */
export class Source {
  /** The truth. A row that is gone keeps its version in `counts`, so that the next one is higher. */
  readonly rows = new Map<string, Row>()
  readonly notes = new Map<string, Note>()
  readonly counts = new Map<string, number>()
  /** What was accepted, by epoch and offset. */
  readonly log = new Map<string, Map<number, Meant[]>>()
  /** Published again because the answer was lost with the server: the log may hold it twice. */
  readonly doubled = new Set<string>()
  /** Where the log really ends; none before anybody has opened it. */
  head: Cursor | undefined
  /** Where something was accepted. */
  readonly #places = new Map<string, Map<number, Cursor>>()
  readonly #waiting = new Set<Publication>()

  constructor(
    readonly world: World,
    readonly projectId: string,
  ) {}

  /** Changes something, and publishes it. */
  publish(): void {
    const { random } = this.world
    const choice = random.next()
    if (choice < 0.2) this.#fact()
    else if (choice < 0.26) this.#gauge(random.pick([...GAUGES.keys()]))
    else if (choice < 0.4) this.#note(random.pick([...NOTES.keys()]))
    else if (choice < 0.43) this.#noteBatch()
    else if (choice < 0.49) this.#batch()
    else if (choice < 0.53) this.#swap(random.pick(ROWS))
    else this.#change(random.pick(ROWS))
  }

  /** The log is gone: whoever had a cursor into it is told. */
  lost(): void {
    this.head = undefined
  }

  /** After a crash the application publishes again what it does not know to be accepted. */
  republish(): void {
    for (const publication of [...this.#waiting]) {
      for (const { name, count } of publication.meant.marks) this.doubled.add(`${name} ${count}`)
      this.#send(publication)
    }
  }

  /** Publishes that the log has not accepted yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  placeOf({ name, count }: Mark): Cursor | undefined {
    return this.#places.get(name)?.get(count)
  }

  snapshot(covers: (scope: Scope) => boolean): Snapshot {
    const copy = <Item extends Note>(item: Item): Item => ({ ...item, fields: { ...item.fields } })
    const notes = [...this.notes.values()].filter(({ id }) => covers(NOTES.get(id) as Scope))
    return {
      rows: covers(EVERYONE) ? [...this.rows.values()].map(copy) : [],
      notes: notes.map(copy),
      counts: new Map(this.counts),
    }
  }

  #fact(): void {
    const { random } = this.world
    const fact = this.#count('fact')
    const channel = random.pick(CHANNELS)
    const users = random.chance(0.2) ? [random.pick(['u1', 'u2'])] : undefined
    const data = { project: this.projectId, fact: fact.count, users, pad: this.world.pad }
    this.#send({
      meant: { channel, users, marks: [fact] },
      send: () => this.#project().emit('test:fact', data, { channel, audience: users && { users } }),
    })
  }

  #gauge(key: string): void {
    const scope = GAUGES.get(key) as Scope
    const mark = this.#count(`gauge ${key}`)
    const { channel, users } = scope
    const data = { project: this.projectId, key, value: mark.count, users }
    const options = { channel, audience: users && { users }, conflateKey: key }
    this.#send({
      meant: { ...scope, marks: [mark] },
      send: () => this.#project().emit('test:gauge', data, options),
    })
  }

  #change(id: string): void {
    const { random } = this.world
    const row = this.rows.get(id)
    const mark = this.#count(`row ${id}`)
    const version = mark.count
    const meant: Meant = { ...EVERYONE, marks: [mark] }
    const project = { project: this.projectId, pad: this.world.pad }
    if (!row) {
      const fields = { f0: version, f1: version, f2: version }
      this.rows.set(id, { id, version, fields })
      this.#send({ meant, send: () => this.#project().created('row', id, { ...project, ...fields }, { version }) })
    } else if (random.chance(0.12)) {
      this.rows.delete(id)
      this.#send({ meant, send: () => this.#project().deleted('row', id, { version }) })
    } else {
      const field = `f${random.int(0, 2)}`
      this.rows.set(id, { id, version, fields: { ...row.fields, [field]: version } })
      this.#send({
        meant,
        send: () => this.#project().updated('row', id, { ...project, [field]: version }, { version }),
      })
    }
  }

  /** Two instances of an application race, and the newer row is published first. Each publishes the row as a whole. */
  #swap(id: string): void {
    const row = this.rows.get(id)
    if (!row) return
    const [older, newer] = [1, 2].map(() => {
      const mark = this.#count(`row ${id}`)
      const version = mark.count
      const fields = { ...row.fields, f0: version }
      this.rows.set(id, { id, version, fields })
      const data = { project: this.projectId, pad: this.world.pad, ...fields }
      const send = () => this.#project().updated('row', id, data, { version })
      return () => this.#send({ meant: { ...EVERYONE, marks: [mark] }, send })
    })
    newer?.()
    this.world.backend.server.run(this.world.random.pick([0, 50, 500]), () => older?.())
  }

  #batch(): void {
    const { random } = this.world
    const ids = [...this.rows.keys()].filter(() => random.chance(0.6))
    if (ids.length === 0) return
    const field = random.pick(['f0', 'f1', 'mark'])
    const value = random.int(1, 1_000_000)
    const marks = ids.map((id) => this.#count(`row ${id}`))
    const versions = marks.map(({ count }) => count)
    for (const [i, id] of ids.entries()) {
      const { fields } = this.rows.get(id) as Row
      this.rows.set(id, { id, version: versions[i] as number, fields: { ...fields, [field]: value } })
    }
    const data = { project: this.projectId, pad: this.world.pad, [field]: value }
    this.#send({ meant: { ...EVERYONE, marks }, send: () => this.#project().batch('row', ids, data, { versions }) })
  }

  /** A note counts no versions. Who changed it, and when, travels as the user's id: a deletion carries no data. */
  #note(id: string): void {
    const { random } = this.world
    const scope = NOTES.get(id) as Scope
    const note = this.notes.get(id)
    const mark = this.#count(`note ${id}`)
    const { channel, users } = scope
    const options = { userId: String(mark.count), channel, audience: users && { users } }
    const project = { project: this.projectId, pad: this.world.pad, users }
    const meant: Meant = { ...scope, marks: [mark] }
    if (!note) {
      const fields = { f0: mark.count, f1: mark.count }
      this.notes.set(id, { id, fields })
      this.#send({ meant, send: () => this.#project().created('note', id, { ...project, ...fields }, options) })
    } else if (random.chance(0.2)) {
      this.notes.delete(id)
      this.#send({ meant, send: () => this.#project().deleted('note', id, options) })
    } else {
      const field = `f${random.int(0, 1)}`
      this.notes.set(id, { id, fields: { ...note.fields, [field]: mark.count } })
      const data = { ...project, [field]: mark.count }
      this.#send({ meant, send: () => this.#project().updated('note', id, data, options) })
    }
  }

  #noteBatch(): void {
    const ids = ['n1', 'n2'].filter((id) => this.notes.has(id))
    if (ids.length === 0) return
    // One event, one number: the higher of the two counts.
    const count = Math.max(...ids.map((id) => this.counts.get(`note ${id}`) ?? 0)) + 1
    const marks = ids.map((id) => ({ name: `note ${id}`, count }))
    for (const { name } of marks) this.counts.set(name, count)
    for (const id of ids) {
      const { fields } = this.notes.get(id) as Note
      this.notes.set(id, { id, fields: { ...fields, f0: count } })
    }
    const data = { project: this.projectId, f0: count }
    const options = { userId: String(count) }
    this.#send({ meant: { ...EVERYONE, marks }, send: () => this.#project().batch('note', ids, data, options) })
  }

  #count(name: string): Mark {
    const count = (this.counts.get(name) ?? 0) + 1
    this.counts.set(name, count)
    return { name, count }
  }

  #project() {
    return this.world.backend.hub.project(this.projectId)
  }

  #send(publication: Publication): void {
    const { world } = this
    const { server } = world.backend
    this.#waiting.add(publication)
    publication.send().then(
      (text) => {
        // An answer that a killed process would have given nobody hears.
        if (server.alive) this.#accepted(publication, text)
      },
      (error) => {
        // Whoever publishes to a hub that has closed is told so, and publishes to the next one.
        if (server.alive && !(world.backend.draining && error?.code === 'CLOSED'))
          world.fail(`publish rejected: ${error}`)
      },
    )
  }

  #accepted(publication: Publication, text: string): void {
    const { meant } = publication
    const cursor = parseCursor(text)
    if (!cursor) {
      this.world.fail(`publish resolved with ${text}`)
      return
    }
    this.#waiting.delete(publication)
    this.world.figures.published++
    let offsets = this.log.get(cursor.epoch)
    if (!offsets) this.log.set(cursor.epoch, (offsets = new Map()))
    const here = offsets.get(cursor.offset)
    if (here) here.push(meant)
    else offsets.set(cursor.offset, [meant])
    for (const { name, count } of meant.marks) {
      let places = this.#places.get(name)
      if (!places) this.#places.set(name, (places = new Map()))
      places.set(count, cursor)
    }
  }
}
