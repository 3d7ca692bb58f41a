import type { EventHub, EventHubOptions, Grant } from '@entitycast/sse-server'
import { expect, it, vi } from 'vitest'
import { Connection } from '../../src/feed/connection'
import { codeOf, seeded } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { SharedHubs } from '../support/shared-log'
import { ask, type TestStream } from '../support/stream'

/*
 * Whatever has happened to two hubs on one log, and whatever applications do inside of what the hub calls: when everyone has gone nobody is
 * looked at any more, and when the hubs have closed no timer, listener or promise is left. In virtual time, from a seed: a walk that fails is the same each time.
 */

const WALKS = 150
const STEPS = 100
/** Everyone who waits for the application or the log has been told by then. */
const PATIENCE_MS = 12_000

class Walk {
  readonly hubs = new SharedHubs()
  readonly random: () => number
  readonly streams: TestStream[] = []
  /** What is still to come of what was called. */
  readonly calls: Promise<unknown>[] = []
  readonly stops: (() => void)[] = []
  readonly answers: (() => void)[] = []
  #held: (() => void)[] = []
  #holds: string | undefined

  constructor(seed: number) {
    this.random = seeded(seed)
    const options: EventHubOptions = {
      conflateWindowMs: this.pick<number | false>(false, 100, 5_000),
      presence: this.pick<EventHubOptions['presence'] & {}>(false, true, { graceMs: 0 }),
      maxAgeMs: this.pick(600_000, 20_000),
      heartbeatIntervalMs: this.pick<number | false>(15_000, 1_000, false),
      retention: this.pick({}, { events: 5 }, { ageMs: 2_000 }),
    }
    for (let n = 0; n < 2; n++) this.#gate(this.hubs.add(options).instance)
  }

  pick<Item>(...items: Item[]): Item {
    return items[Math.floor(this.random() * items.length)] as Item
  }

  /** Answers of the log come when the walk says so. */
  #gate(instance: SharedHubs['members'][number]['instance']): void {
    const { append, open, read } = instance
    const gate =
      <Asked extends unknown[], Answer>(call: string, answer: (...asked: Asked) => Promise<Answer>) =>
      async (...asked: Asked) => {
        if (this.#holds === call) await new Promise<void>((resolve) => this.#held.push(resolve))
        return answer.apply(instance, asked)
      }
    Object.assign(instance, { append: gate('append', append), open: gate('open', open), read: gate('read', read) })
  }

  hold(): void {
    this.#holds = this.pick('append', 'open', 'read')
  }

  release(): void {
    this.#holds = undefined
    for (const go of this.#held.splice(0)) go()
  }

  /** The log is what it should be, and all that was asked is answered. */
  mend(): void {
    for (const { instance } of this.hubs.members) {
      instance.fails = () => false
      instance.isCutOff = false
    }
    this.release()
    for (const answer of this.answers.splice(0)) answer()
  }

  /** Whether it works does not matter here, and nobody's rejection is left to nobody. */
  call(call: () => unknown): void {
    this.calls.push(codeOf(call))
  }

  open(hub: EventHub, projectId: string, userId: string | undefined): void {
    const { clock } = this.hubs
    const grant: Grant = { projectId, userId }
    const rest: Grant = { ...grant, channels: ['default'], expiresAt: clock.now() + this.pick(50, 3_000, 40_000) }
    const authorize = this.pick<() => Grant | null | Promise<Grant | null>>(
      () => grant,
      () => rest,
      () => null,
      () => new Promise((resolve) => this.answers.push(() => resolve(grant))),
      () => {
        this.call(() => hub.revoke({ projectId }))
        return grant
      },
    )
    const reauthorize = this.pick<(() => boolean | Promise<boolean>) | undefined>(
      undefined,
      () => true,
      async () => this.random() < 0.8,
      () => new Promise(() => {}),
      () => JSON.parse('no'),
      () => {
        this.call(() => hub.disconnect({ projectId }))
        return true
      },
    )
    const known = this.pick(...this.streams)?.lastEventId
    const lastEventId = this.pick(undefined, known, known?.replace(/\d+$/, '99'), 'id-000001.1', 'none')
    const { stream, done } = ask(hub, null, {
      authorize,
      ...(reauthorize && { reauthorize }),
      lastEventId,
      sink: new RecordingSink(),
    })
    this.streams.push(stream)
    this.call(() => done)
  }

  publish(hub: EventHub, projectId: string): void {
    const project = hub.project(projectId)
    const options = { audience: this.pick(undefined, { users: ['u1'] }), channel: this.pick(undefined, 'c') }
    const id = this.pick('a', '__proto__')
    this.call(
      this.pick<() => unknown>(
        () => project.updated('row', id, { text: 'x'.repeat(this.pick(1, 5_000)) }, options),
        () => project.deleted('row', id, options),
        () => project.batch('row', ['a', 'b'], { n: 1 }, options),
        () => project.emit('row:said', 1, { ...options, conflateKey: this.pick(undefined, 'k') }),
      ),
    )
  }

  listen(hub: EventHub, projectId: string): void {
    const handler = this.pick<(event: { type: string }) => unknown>(
      () => {},
      () => JSON.parse('no'),
      ({ type }) => type === 'row:said' && this.publish(hub, projectId),
      () => this.call(() => hub.disconnect({ projectId })),
    )
    this.call(() => this.stops.push(hub.listen({ projectId }, handler as () => void)))
  }

  async step(): Promise<void> {
    const { clock, log } = this.hubs
    const { hub, instance } = this.pick(...this.hubs.members)
    const projectId = this.pick('p1', 'p1', '__proto__')
    const userId = this.pick('u1', 'u2', undefined)
    const stream = this.pick(...this.streams)
    const steps: Record<string, [weight: number, step: () => unknown]> = {
      open: [6, () => this.open(hub, projectId, userId)],
      publish: [8, () => this.publish(hub, projectId)],
      leave: [1, () => stream?.leave()],
      stall: [1, () => stream?.sink.stall(this.pick(0, 1_000, 100_000))],
      resume: [2, () => stream?.sink.resume()],
      revoke: [1, () => this.call(() => hub.revoke(this.pick({ projectId }, { userId: 'u1' }, {})))],
      disconnect: [1, () => this.call(() => hub.disconnect({ projectId }))],
      listen: [1, () => this.listen(hub, projectId)],
      stop: [1, () => this.stops.pop()?.()],
      presence: [1, () => this.call(() => hub.presence(projectId))],
      answer: [1, () => this.answers.shift()?.()],
      doubt: [1, () => log.doubtAll(instance)],
      cut: [1, () => Object.assign(instance, { isCutOff: !instance.isCutOff })],
      fail: [
        1,
        () =>
          Object.assign(instance, {
            fails: this.pick(
              () => true,
              () => false,
            ),
          }),
      ],
      hold: [1, () => this.hold()],
      release: [2, () => this.release()],
      freeze: [1, () => clock.freeze(this.pick(3_000, 20_000, 90_000))],
      advance: [3, () => clock.advance(this.pick(10, 500, 3_000, 16_000, 70_000))],
      settle: [3, () => clock.settle()],
      close: [0.05, () => this.call(() => hub.close({ drainMs: this.pick(0, 3_000) }))],
    }
    let left = this.random() * Object.values(steps).reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, step] of Object.values(steps)) {
      left -= weight
      if (left < 0) return void (await step())
    }
  }
}

it('[C9 S8] nothing is left of what anybody did, in any order, when all have gone, and when the hubs have closed', async () => {
  const looks = vi.spyOn(Connection.prototype, 'check')
  const walk = async (seed: number) => {
    const one = new Walk(seed)
    const { clock, log, members } = one.hubs
    for (let n = 0; n < STEPS; n++) await one.step()
    if (one.random() < 0.7) {
      one.mend()
      await clock.advance(PATIENCE_MS)
      for (const stream of one.streams) stream.leave()
      for (const stop of one.stops.splice(0)) stop()
      // Until feeds that nobody reads are let go.
      await clock.advance(130_000)
      looks.mockClear()
      await clock.advance(20_000)
      const held = members
        .map(({ hub }) => hub.stats())
        .map((stats) => [stats.connections, stats.retainedBytes, stats.projects])
      expect([seed, looks.mock.calls.length, held]).toEqual([
        seed,
        0,
        [
          [0, 0, 0],
          [0, 0, 0],
        ],
      ])
    }
    if (one.random() < 0.5) one.mend()
    const closed = members.map(({ hub }) => hub.close({ drainMs: one.pick(0, 2_000) }))
    await clock.advance(PATIENCE_MS)
    await Promise.all(closed)
    one.mend()
    await clock.advance(PATIENCE_MS)
    for (const stop of one.stops) stop()
    await Promise.all(one.calls)
    const open = one.streams.filter(({ gone, status, closed }) => !gone && (status === 0 || !closed))
    expect({ seed, timers: clock.timers, ears: log.ears.size, open }).toEqual({ seed, timers: 0, ears: 0, open: [] })
  }
  try {
    for (let seed = 1; seed <= WALKS; seed++) await walk(seed)
  } finally {
    looks.mockRestore()
  }
})
