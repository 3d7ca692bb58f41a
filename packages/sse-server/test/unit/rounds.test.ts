import { describe, expect, it } from 'vitest'
import { Rounds } from '../../src/feed/rounds'

/** A clock by hand: what was deferred and what was set for later, and how long work takes. */
function handClock() {
  let now = 0
  const deferred: (() => void)[] = []
  const timers: { dueAt: number; task: () => void }[] = []
  return {
    now: () => now,
    monotonic: () => now,
    defer: (task: () => void) => void deferred.push(task),
    after(delayMs: number, task: () => void) {
      timers.push({ dueAt: now + delayMs, task })
      return () => {}
    },
    timers,
    /** Work that takes so long. */
    work(ms: number) {
      now += ms
    },
    /** The present turn of the event loop ends. */
    turn() {
      for (const task of deferred.splice(0)) task()
    },
    /** The next timer runs, when it is due. */
    timer() {
      const next = timers.shift()
      if (!next) throw new Error('no timer is set')
      now = next.dueAt
      next.task()
    },
  }
}

describe('rounds of writing', () => {
  it('what joins in one turn of the event loop runs once, at its end', () => {
    const clock = handClock()
    const rounds = new Rounds(clock)
    let runs = 0
    const task = () => void runs++
    rounds.join(task)
    rounds.join(task)
    expect(runs).toBe(0)
    clock.turn()
    expect(runs).toBe(1)
    clock.turn()
    expect(runs).toBe(1)
  })

  it('the next round waits as long as the last one took, and takes along what came meanwhile', () => {
    const clock = handClock()
    const rounds = new Rounds(clock)
    const ran: string[] = []
    rounds.join(() => clock.work(8))
    clock.turn()
    rounds.join(() => ran.push(`a at ${clock.now()}`))
    clock.work(3)
    rounds.join(() => ran.push(`b at ${clock.now()}`))
    clock.turn()
    expect(ran).toEqual([])
    clock.timer()
    expect(ran).toEqual(['a at 16', 'b at 16'])
    expect(clock.timers).toEqual([])
  })

  it('a round that was short, or is long past, holds nobody up', () => {
    const clock = handClock()
    const rounds = new Rounds(clock)
    let runs = 0
    rounds.join(() => clock.work(0.9))
    clock.turn()
    rounds.join(() => {
      runs++
      clock.work(8)
    })
    clock.turn()
    expect(runs).toBe(1)
    clock.work(8)
    rounds.join(() => void runs++)
    clock.turn()
    expect(runs).toBe(2)
    expect(clock.timers).toEqual([])
  })

  it('no pause is longer than 50 ms', () => {
    const clock = handClock()
    const rounds = new Rounds(clock)
    rounds.join(() => clock.work(400))
    clock.turn()
    rounds.join(() => {})
    expect(clock.timers.map(({ dueAt }) => dueAt)).toEqual([450])
  })

  it('[S8] a task that throws does not take the round from the others', () => {
    const clock = handClock()
    const rounds = new Rounds(clock)
    let runs = 0
    rounds.join(() => {
      throw new Error('broken')
    })
    rounds.join(() => void runs++)
    expect(() => clock.turn()).toThrow('broken')
    clock.turn()
    expect(runs).toBe(1)
  })

  it('whoever waits for the next round goes on after it; where none is due, with the next turn', async () => {
    const clock = handClock()
    const rounds = new Rounds(clock)
    const ran: string[] = []
    rounds.join(() => ran.push('round'))
    const waiting = rounds.next().then(() => ran.push('waited'))
    clock.turn()
    await waiting
    expect(ran).toEqual(['round', 'waited'])
    const idle = rounds.next().then(() => ran.push('turn'))
    clock.turn()
    await idle
    expect(ran.at(-1)).toBe('turn')
  })
})
