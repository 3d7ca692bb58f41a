import { describe, expect, it } from 'vitest'
import { Addresses } from '../../src/registry/addresses'

/** A crowd whose addresses are asked for, and each question counted. */
class Crowd {
  readonly members = new Set<{ readonly ip: string | undefined }>()
  asked = 0
  readonly addresses: Addresses<{ readonly ip: string | undefined }>

  constructor(limit: number) {
    this.addresses = new Addresses(this.members, limit, (member) => member)
  }

  come(ip: string | undefined) {
    const crowd = this
    const member = {
      get ip() {
        crowd.asked++
        return ip
      },
    }
    this.members.add(member)
    this.addresses.add(member)
    return member
  }

  leave(member: { readonly ip: string | undefined }) {
    this.members.delete(member)
    this.addresses.remove(member)
  }
}

describe('how many come from one address', () => {
  it('[C4] nobody is asked while all together could not fill half of the limit', () => {
    const crowd = new Crowd(100)
    for (let n = 0; n < 49; n++) crowd.come('192.0.2.1')
    expect(crowd.addresses.isFull({ ip: '192.0.2.1' })).toBe(false)
    expect(crowd.asked).toBe(0)
  })

  it('[C4] all have been asked when the limit is reached, each once, and at most three in one turn', () => {
    const crowd = new Crowd(100)
    for (let n = 0; n < 100; n++) {
      const before = crowd.asked
      crowd.come(n % 2 ? '192.0.2.1' : '192.0.2.2')
      expect(crowd.asked - before).toBeLessThanOrEqual(3)
    }
    expect(crowd.asked).toBe(100)
    expect(crowd.addresses.isFull({ ip: '192.0.2.1' })).toBe(false)
    expect(crowd.asked).toBe(100)
  })

  it('[C4] the answer is that of counting each from the start, whoever comes and goes', () => {
    // A small generator, so that a failure can be repeated.
    let seed = 7
    const next = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    const names = ['192.0.2.1', '192.0.2.2', '2001:db8::', undefined]
    for (const limit of [1, 2, 3, 5, 8, 20]) {
      const crowd = new Crowd(limit)
      const there: { member: { readonly ip: string | undefined }; name: string | undefined }[] = []
      for (let step = 0; step < 2_000; step++) {
        // In waves, so that it fills and empties.
        const comes = next(10) < (Math.floor(step / 100) % 2 ? 3 : 7)
        if (comes) {
          const name = names[next(names.length)]
          const ip = name === '2001:db8::' ? `${name}${next(1_000).toString(16)}` : name
          const count = there.filter((one) => one.name === name).length
          expect(crowd.addresses.isFull({ ip })).toBe(name !== undefined && count >= limit)
          const leaver = there[next(Math.max(1, there.length))]
          if (leaver) {
            const less = leaver.name === name ? 1 : 0
            expect(crowd.addresses.isFull({ ip }, leaver.member)).toBe(name !== undefined && count - less >= limit)
          }
          if (next(2) || count < limit) there.push({ member: crowd.come(ip), name })
        } else if (there.length > 0) {
          const [leaver] = there.splice(next(there.length), 1)
          if (leaver) crowd.leave(leaver.member)
        }
      }
    }
  })

  it('[C4] without a limit nobody is ever asked', () => {
    const crowd = new Crowd(Number.POSITIVE_INFINITY)
    for (let n = 0; n < 1_000; n++) crowd.come('192.0.2.1')
    expect(crowd.addresses.isFull({ ip: '192.0.2.1' })).toBe(false)
    expect(crowd.asked).toBe(0)
  })
})
