import { describe, expect, it } from 'vitest'
import { FollowedLog } from '../../src/seams/followed-log'

/** A log whose comparisons end when they are told to. */
class Log extends FollowedLog {
  compared = 0
  release = () => {}

  constructor() {
    super({ ready: async () => {}, oddities: { doubts: 0 }, closed: () => new Error('closed') })
  }

  protected override get end() {
    return { epoch: 'e', offset: 0 }
  }

  protected override async compare(): Promise<number> {
    this.compared++
    if (this.compared === 1) await new Promise<void>((resolve) => (this.release = resolve))
    return 1
  }
}

describe('a log that is compared with the broker', () => {
  it('[D4] whoever asks while one comparison is about to end gets another one', async () => {
    for (let ticks = 0; ticks < 10; ticks++) {
      const log = new Log()
      const first = log.check()
      log.release()
      for (let n = 0; n < ticks; n++) await undefined
      await log.check()
      await first
      expect([ticks, log.compared]).toEqual([ticks, 2])
    }
  })
})
