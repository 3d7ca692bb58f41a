import { afterEach, describe, expect, it } from 'vitest'
import { CONTROL_LOG } from '../../src/seams/log-name'
import { codeOf } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { SharedHubs } from '../support/shared-log'
import { ask, open } from '../support/stream'

describe('what is just being opened, with several instances', () => {
  let hubs = new SharedHubs()
  afterEach(async () => {
    await hubs.end()
    expect(hubs.clock.timers).toBe(0)
    hubs = new SharedHubs()
  })

  for (const end of ['revoke', 'disconnect'] as const) {
    it(`[S5] who was checked before revocations are heard may have lost the right by ${end} meanwhile, and asks again`, async () => {
      const [a] = await hubs.start(1)
      let begin = () => {}
      const late = hubs.add({}, (instance) => {
        begin = instance.holdOpening((projectId) => projectId === CONTROL_LOG)
      })
      const grant = { projectId: 'p1', userId: 'u1' }
      const granted = ask(late.hub, grant, { isGranted: true })
      await hubs.clock.settle()
      await a!.hub[end]({ userId: 'u1' })
      await hubs.clock.advance(10)
      begin()
      await granted.done
      expect(granted.stream.status).toBe(503)
      expect((await open(late.hub, grant, { isGranted: true })).status).toBe(200)
    })
  }

  it('[S5] disconnect of another instance undoes what is just being opened here', async () => {
    const [a, b] = await hubs.start(2)
    let answer = () => {}
    const asked = ask(b!.hub, null, {
      authorize: () =>
        new Promise((resolve) => {
          answer = () => resolve({ projectId: 'p1', userId: 'u1' })
        }),
    })
    await hubs.clock.settle()
    await a!.hub.disconnect({ projectId: 'p1', userId: 'u1' })
    await hubs.clock.advance(10)
    answer()
    await asked.done
    expect(asked.stream.status).toBe(503)
    expect((await open(b!.hub, { projectId: 'p1', userId: 'u1' })).status).toBe(200)
  })

  it('[D8] a mount of somebody else, which does not wait, opens nothing before revocations are heard', async () => {
    let begin = () => {}
    const { hub } = hubs.add({}, (instance) => {
      begin = instance.holdOpening((projectId) => projectId === CONTROL_LOG)
    })
    const sink = new RecordingSink()
    const connect = async () =>
      hub.connect({
        grant: { projectId: 'p1', userId: 'u1' },
        askedAt: hub.moment,
        gone: () => false,
        open: () => sink,
      })
    const early = codeOf(connect)
    await hubs.clock.advance(100)
    expect([sink.writes, hub.stats().opened]).toEqual([0, 0])
    begin()
    expect(await early).toBe('UNAVAILABLE')
    await connect()
    expect(hub.stats().opened).toBe(1)
  })

  it('a hub that ends while its log is being opened greets nobody afterwards', async () => {
    const [a] = await hubs.start(1)
    let begin = () => {}
    const late = hubs.add({}, (instance) => {
      begin = instance.holdOpening()
    })
    await hubs.clock.settle()
    const closed = late.hub.close()
    await hubs.clock.advance(5_000)
    await closed
    const before = hubs.log.appends.get(CONTROL_LOG)
    begin()
    await hubs.clock.advance(10)
    expect(hubs.log.appends.get(CONTROL_LOG)).toBe(before)
    const stats = a!.hub.clusterStats()
    await hubs.clock.advance(1_000)
    expect((await stats).missing).toEqual([])
  })
})
