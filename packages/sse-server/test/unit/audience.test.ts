import { describe, expect, it } from 'vitest'
import { Audiences } from '../../src/hub/audience'

describe('the users that events are for', () => {
  it('[C8] a list is what it is at each publish, whatever becomes of it afterwards', () => {
    const audiences = new Audiences()
    const users = ['ann', 'ben']
    const first = audiences.read({ users })
    users[1] = 'cid'
    users.push('dot')
    const second = audiences.read({ users })
    users.length = 1
    expect([first, second, audiences.read({ users })]).toEqual([['ann', 'ben'], ['ann', 'cid', 'dot'], ['ann']])
  })

  it('events for the same users share one list, also where the publisher makes it anew', () => {
    const audiences = new Audiences()
    const first = audiences.read({ users: ['ann', 'ben'] })
    expect(audiences.read({ users: ['ann', 'ben'] })).toBe(first)
    expect(audiences.read({ users: ['ann', 'cid'] })).toEqual(['ann', 'cid'])
    expect(audiences.read({ users: ['ann', 'ben'] })).toEqual(['ann', 'ben'])
  })

  it('[P1] what is no user is refused each time, also after a list that was taken', () => {
    const audiences = new Audiences()
    audiences.read({ users: ['ann', 'ben'] })
    const bad = [
      [],
      ['ann', 'b\rn'],
      ['ann', 7],
      ['ann', undefined],
      [7, 'ben'],
      'ann',
      undefined,
    ] as unknown as string[][]
    for (const users of [...bad, ...bad]) {
      expect(() => audiences.read({ users })).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^INVALID/) }),
      )
    }
  })

  it('however many lists there are, they stay right', () => {
    const audiences = new Audiences()
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 300; n++) {
        const users = Array.from({ length: 100 }, (_, i) => `u${n}_${i}`)
        expect(audiences.read({ users })).toEqual(users)
      }
      const most = Array.from({ length: 10_000 }, (_, i) => `u${i}`)
      expect(audiences.read({ users: most })).toEqual(most)
    }
  })
})
