import { type Cursor, parseCursor } from '@entitycast/sse-protocol'
import { CHANNELS, type World } from './world'

/** A row of the database that pages show. */
export interface Row {
  id: string
  version: number
  fields: Record<string, number>
}

/** What the log holds at one offset, as the publisher meant it. */
export interface Meant {
  readonly kind: 'fact' | 'entity'
  readonly channel: string
  readonly users: readonly string[] | undefined
  /** Facts: 1, 2, 3 … in the project. */
  readonly fact?: number
  /** Entities: which, and the version after it. */
  readonly versions?: Readonly<Record<string, number>>
}

interface Publication {
  readonly meant: Meant
  readonly send: () => Promise<string>
}

const IDS = ['a', 'b:1', 'c', '__proto__', 'é']

/** A project's database, and the application that changes it and says so. */
export class Source {
  /** The truth. A row that is gone keeps its version, so that the next one is higher. */
  readonly rows = new Map<string, Row>()
  readonly versions = new Map<string, number>()
  /** What was accepted, by epoch and offset. */
  readonly log = new Map<string, Map<number, Meant[]>>()
  /** Where the log really ends; none before anybody has opened it. */
  head: Cursor | undefined
  facts = 0
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
    else if (choice < 0.27) this.#batch()
    else if (choice < 0.31) this.#swap(random.pick(IDS))
    else this.#change(random.pick(IDS))
  }

  /** The log is gone: whoever had a cursor into it is told. */
  lost(): void {
    this.head = undefined
  }

  /** After a crash the application publishes again what it does not know to be accepted. */
  republish(): void {
    for (const publication of [...this.#waiting]) this.#send(publication)
  }

  /** Publishes that the log has not accepted yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  snapshot(): Row[] {
    return [...this.rows.values()].map((row) => ({ ...row, fields: { ...row.fields } }))
  }

  #fact(): void {
    const { random } = this.world
    const fact = ++this.facts
    const channel = random.pick(CHANNELS)
    const users = random.chance(0.2) ? [random.pick(['u1', 'u2'])] : undefined
    const data = { project: this.projectId, fact, users, pad: this.world.pad }
    this.#send({
      meant: { kind: 'fact', channel, users, fact },
      send: () => this.#project().emit('test:fact', data, { channel, audience: users && { users } }),
    })
  }

  #change(id: string): void {
    const { random } = this.world
    const row = this.rows.get(id)
    const version = (this.versions.get(id) ?? 0) + 1
    this.versions.set(id, version)
    const meant: Meant = { kind: 'entity', channel: 'default', users: undefined, versions: { [key(id)]: version } }
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

  /** Two instances of an application race: the newer row is published first. Each publishes the row as a whole. */
  #swap(id: string): void {
    const row = this.rows.get(id)
    if (!row) return
    const sends = [1, 2].map((step) => {
      const version = row.version + step
      const fields = { ...row.fields, f0: version }
      this.versions.set(id, version)
      this.rows.set(id, { id, version, fields })
      const meant: Meant = { kind: 'entity', channel: 'default', users: undefined, versions: { [key(id)]: version } }
      const data = { project: this.projectId, pad: this.world.pad, ...fields }
      return () => this.#send({ meant, send: () => this.#project().updated('row', id, data, { version }) })
    })
    for (const send of sends.reverse()) send()
  }

  #batch(): void {
    const { random } = this.world
    const ids = [...this.rows.keys()].filter(() => random.chance(0.6))
    if (ids.length === 0) return
    const field = random.pick(['f0', 'f1', 'mark'])
    const mark = random.int(1, 1_000_000)
    const versions: number[] = []
    for (const id of ids) {
      const row = this.rows.get(id) as Row
      const version = (this.versions.get(id) as number) + 1
      this.versions.set(id, version)
      versions.push(version)
      this.rows.set(id, { id, version, fields: { ...row.fields, [field]: mark } })
    }
    const meant: Meant = {
      kind: 'entity',
      channel: 'default',
      users: undefined,
      versions: Object.fromEntries(ids.map((id, i) => [key(id), versions[i] as number])),
    }
    const data = { project: this.projectId, pad: this.world.pad, [field]: mark }
    this.#send({ meant, send: () => this.#project().batch('row', ids, data, { versions }) })
  }

  #project() {
    return this.world.hub.project(this.projectId)
  }

  #send(publication: Publication): void {
    const { world } = this
    const { server } = world
    this.#waiting.add(publication)
    publication.send().then(
      (text) => {
        // An answer that a killed process would have given nobody hears.
        if (!server.alive) return
        this.#waiting.delete(publication)
        world.figures.published++
        const cursor = parseCursor(text)
        if (!cursor) return world.fail(`publish resolved with ${text}`)
        let offsets = this.log.get(cursor.epoch)
        if (!offsets) this.log.set(cursor.epoch, (offsets = new Map()))
        const here = offsets.get(cursor.offset)
        if (here) here.push(publication.meant)
        else offsets.set(cursor.offset, [publication.meant])
      },
      (error) => world.fail(`publish rejected: ${error}`),
    )
  }
}

/** `__proto__` as a key of a plain object is another thing. */
function key(id: string): string {
  return `id ${id}`
}

export function versionOf(meant: Meant, id: string): number | undefined {
  return meant.versions?.[key(id)]
}

export function idsOf(meant: Meant): string[] {
  return Object.keys(meant.versions ?? {}).map((name) => name.slice(3))
}
