import type { EventHub, LogEntry } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { presenceLog } from '../../src/seams/log-name'
import { seeded } from '../support/hub'
import { SharedHubs, type SharedInstance } from '../support/shared-log'
import { open, type TestStream } from '../support/stream'

const OPTIONS = {
  presence: true,
  maxAgeMs: false,
  retention: { ageMs: 86_400_000, events: 100_000, bytes: 100_000_000 },
} as const
const USERS = ['u0', 'u1', 'u2', 'u3']
const WORLDS = 200
const STEPS = 60

interface Member {
  readonly hub: EventHub
  readonly instance: SharedInstance
}

/** One run of a cluster in which anything may happen at any time, from a seed. */
class World {
  readonly hubs = new SharedHubs()
  readonly happened: string[] = []
  members: Member[] = []
  streams: { readonly userId: string; readonly stream: TestStream; readonly member: Member }[] = []
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = seeded(seed)
    this.hubs.log.delayMs = () => (this.#chance(0.8) ? this.#int(0, 30) : this.#int(0, 1_500))
  }

  async run(): Promise<void> {
    this.members = await this.hubs.start(3, OPTIONS)
    for (let n = 0; n < STEPS; n++) await this.#step()
    for (const { instance } of this.members) instance.isCutOff = false
    this.hubs.log.delayMs = () => 0
    await this.hubs.clock.advance(90_000)
  }

  /** Who has a stream, by what the streams say. */
  get present(): string[] {
    return [...new Set(this.streams.flatMap(({ stream, userId }) => (stream.closed ? [] : [userId])))].sort()
  }

  /** What was published, by user, from the log itself. */
  async told(): Promise<Map<string, string[]>> {
    const told = new Map<string, string[]>(USERS.map((userId) => [userId, []]))
    const { store } = this.hubs.log
    const { head, close } = await store.open('p', { entries() {}, doubt() {} })
    close()
    const page = await store.read('p', { ...head, offset: 0 }, 100_000)
    if ('gap' in page) throw new Error(page.gap)
    for (const { record } of page.entries as LogEntry[]) {
      told.get(JSON.parse(record.data).userId)?.push(record.type.slice('user:'.length))
    }
    return told
  }

  async #step(): Promise<void> {
    const member = this.members[this.#int(0, this.members.length - 1)] as Member
    const { clock, log } = this.hubs
    const roll = this.#random()
    if (roll < 0.35) {
      const userId = USERS[this.#int(0, USERS.length - 1)] as string
      const stream = await this.while(open(member.hub, { projectId: 'p', userId }))
      this.#note(`${userId} joins`)
      if (stream.status === 200) this.streams.push({ userId, stream, member })
    } else if (roll < 0.6) {
      const [one] = this.streams.splice(this.#int(0, Math.max(0, this.streams.length - 1)), 1)
      this.#note(`${one?.userId} leaves`)
      if (one && !one.stream.closed) one.stream.leave()
    } else if (roll < 0.66 && this.members.length > 1) {
      this.#note('an instance is killed')
      member.instance.isDead = true
      this.members = this.members.filter((each) => each !== member)
      this.streams = this.streams.filter((each) => each.member !== member)
    } else if (roll < 0.7 && this.members.length > 1) {
      this.#note('an instance is closed')
      this.members = this.members.filter((each) => each !== member)
      await this.while(member.hub.close({ drainMs: 200 }))
    } else if (roll < 0.77 && this.members.length < 4) {
      this.#note('an instance comes')
      this.members.push(this.hubs.add(OPTIONS))
    } else if (roll < 0.84) {
      this.#note('an instance is cut off')
      member.instance.isCutOff = !member.instance.isCutOff
    } else if (roll < 0.87) {
      this.#note('an instance may have missed something')
      await log.doubtAll(member.instance, this.#chance(0.5) ? presenceLog('p') : undefined)
    }
    if (this.#chance(0.5)) await clock.advance(this.#int(0, 500))
    else if (this.#chance(0.3)) await clock.advance(this.#int(0, 30_000))
  }

  /** Time passes until there is an answer. */
  async while<Answer>(answer: Promise<Answer>): Promise<Answer> {
    let isThere = false
    const done = answer.finally(() => {
      isThere = true
    })
    for (let n = 0; n < 1_000 && !isThere; n++) await this.hubs.clock.advance(20)
    return done
  }

  #note(what: string): void {
    this.happened.push(`${Math.round(this.hubs.clock.monotonic())} ${what}`)
  }

  #int(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1))
  }

  #chance(part: number): boolean {
    return this.#random() < part
  }
}

describe('presence, whatever happens to the instances', () => {
  it.each(Array.from({ length: WORLDS }, (_, n) => n + 1))(
    '[W23] in the end each instance knows who is there, and the events of each user alternate: world %i',
    async (seed) => {
      const world = new World(seed)
      await world.run()
      const story = world.happened.join('\n')
      // One that has only just begun to look gives those whom it has never heard of their time to live.
      for (const { hub } of world.members) await world.while(hub.presence('p'))
      await world.hubs.clock.advance(50_000)
      for (const { hub } of world.members) {
        const users = await world.while(hub.presence('p'))
        expect(users.map(({ userId }) => userId).sort(), story).toEqual(world.present)
      }
      for (const [userId, events] of await world.told()) {
        expect(events, `${userId}\n${story}`).toEqual(events.map((_, n) => (n % 2 === 0 ? 'joined' : 'left')))
        expect(events.at(-1) === 'joined', `${userId}\n${story}`).toBe(world.present.includes(userId))
      }
      await world.hubs.end()
    },
  )
})
