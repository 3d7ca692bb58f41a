import { describe, expect, it } from 'vitest'
import { HeldMessages } from '../../src/seams/held-messages'

const message = (bytes: number) => ({ records: [{ type: 'a:b', data: 'x'.repeat(bytes - 3), channel: 'default' }] })
const places = (held: HeldMessages<ReturnType<typeof message>>) => {
  const all: number[] = []
  held.drop((place) => {
    all.push(place)
    return false
  })
  return all
}

describe('messages that wait for the one before them', () => {
  it('[S2] are as many as a log may keep, in bytes: what has no room is said to have none', () => {
    const held = new HeldMessages<ReturnType<typeof message>>(1_000)
    expect([held.hold(1, message(600)), held.hold(2, message(401)), held.hold(3, message(400))]).toEqual([
      true,
      false,
      true,
    ])
    expect(places(held)).toEqual([1, 3])
    held.delete(1)
    expect(held.hold(4, message(601))).toBe(false)
    expect(held.hold(4, message(600))).toBe(true)
    // One that comes again counts once.
    expect(held.hold(4, message(600))).toBe(true)
    held.drop((place) => place === 3)
    expect(held.hold(5, message(400))).toBe(true)
    held.clear()
    expect(held.hold(6, message(1_000))).toBe(true)
    expect(places(held)).toEqual([6])
  })

  it('[S2] are a thousand at most, however small they are', () => {
    const held = new HeldMessages<ReturnType<typeof message>>(1_000_000)
    for (let place = 0; place < 1_500; place++) held.hold(place, message(10))
    expect(places(held)).toHaveLength(1_000)
  })
})
