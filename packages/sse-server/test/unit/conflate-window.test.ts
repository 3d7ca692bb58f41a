import { describe, expect, it } from 'vitest'
import { testHub } from '../support/hub'
import { open } from '../support/stream'

/** A hub with a publish window of 100 ms, and a stream on it that sees everything. */
async function windowed(userId?: string) {
  const made = testHub({ conflateWindowMs: 100 })
  const stream = await open(made.hub, { projectId: 'p1', ...(userId !== undefined && { userId }) })
  return { ...made, stream, project: made.hub.project('p1') }
}

describe('the publish window', () => {
  it('[D6] ten updates of one entity within it enter the log as one, with the fields of all', async () => {
    const { hub, clock, stream, project } = await windowed()
    const cursors = Array.from({ length: 10 }, (_, n) =>
      project.updated('document', 'd', { embeddedChunks: n + 1, [`f${n % 2}`]: n }),
    )
    await clock.advance(150)
    expect(stream.events.map(({ data }) => data.data)).toEqual([{ embeddedChunks: 10, f0: 8, f1: 9 }])
    expect(new Set(await Promise.all(cursors))).toEqual(new Set([stream.lastEventId]))
    await hub.close()
  })

  it('[D6 P4] what is joined is no larger than maxEventBytes, and what does not fit is an event of its own', async () => {
    const { hub, clock, stream, project } = await windowed()
    const text = 'é'.repeat(5_000)
    const cursors = Array.from({ length: 40 }, (_, n) => project.updated('document', 'd', { [`f${n}`]: text }))
    await clock.advance(150)
    for (const { text: frame } of stream.events.map(({ data }) => ({ text: JSON.stringify(data) })))
      expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(65_536)
    expect(stream.events.length).toBeLessThan(10)
    const fields = Object.assign({}, ...stream.events.map(({ data }) => data.data))
    expect(Object.keys(fields)).toHaveLength(40)
    expect(new Set(await Promise.all(cursors))).toEqual(new Set([stream.lastEventId]))
    await hub.close()
  })

  it('[D6] what is written again and again counts once: however often, it is one event', async () => {
    const { hub, clock, stream, project } = await windowed()
    for (let n = 0; n < 900; n++) void project.updated('document', 'd', { n, text: 'x'.repeat(1_000) })
    await clock.advance(150)
    expect(stream.events.map(({ data }) => data.data.n)).toEqual([899])
    await hub.close()
  })

  it('[D7] a publish resolves when its window is in the log, not before', async () => {
    const { hub, clock, project } = await windowed()
    let resolved = false
    const published = project.updated('document', 'd').then(() => (resolved = true))
    await clock.advance(99)
    expect(resolved).toBe(false)
    await clock.advance(1)
    await published
    await hub.close()
  })

  it('[D6] the window is not put off by what comes within it', async () => {
    const { hub, clock, stream, project } = await windowed()
    for (let n = 0; n < 10; n++) {
      void project.updated('document', 'd', { n })
      await clock.advance(30)
    }
    expect(stream.events.length).toBeGreaterThanOrEqual(2)
    await hub.close()
  })

  it('[D1] a fact does not wait, and comes after what was published before it', async () => {
    const { hub, clock, stream, project } = await windowed()
    void project.updated('document', 'd', { n: 1 })
    void project.emit('lock:acquired', 1)
    await clock.settle()
    expect(stream.events.map(({ type }) => type)).toEqual(['entity.updated', 'lock:acquired'])
    void project.updated('document', 'd', { n: 2 })
    void project.batch('document', ['d'], { n: 3 })
    await clock.settle()
    expect(stream.events.map(({ type }) => type).slice(2)).toEqual(['entity.updated', 'entity.batch'])
    await hub.close()
  })

  it('[D7] one version for two channels or two audiences is two events, and neither is lost', async () => {
    const { hub, clock, project } = await windowed()
    const streams = {
      a: await open(hub, { projectId: 'p1', userId: 'u1', channels: ['a'] }),
      b: await open(hub, { projectId: 'p1', userId: 'u1', channels: ['b'] }),
      u1: await open(hub, { projectId: 'p1', userId: 'u1', channels: ['c'] }),
      u2: await open(hub, { projectId: 'p1', userId: 'u2', channels: ['c'] }),
    }
    void project.updated('document', 'd', { n: 5 }, { version: 5, channel: 'a' })
    void project.updated('document', 'd', { n: 5 }, { version: 5, channel: 'b' })
    void project.updated('document', 'd', { mine: 5 }, { version: 5, channel: 'c', audience: { users: ['u1'] } })
    void project.updated('document', 'd', { yours: 5 }, { version: 5, channel: 'c', audience: { users: ['u2'] } })
    await clock.advance(150)
    const data = Object.entries(streams).map(([name, { events }]) => [name, events.map((frame) => frame.data.data)])
    expect(Object.fromEntries(data)).toEqual({ a: [{ n: 5 }], b: [{ n: 5 }], u1: [{ mine: 5 }], u2: [{ yours: 5 }] })
    await hub.close()
  })

  it('[D5] what one user may not see does not decide what the others get', async () => {
    const { hub, clock, project } = await windowed()
    const stranger = await open(hub, { projectId: 'p1', userId: 'u2' })
    void project.updated('document', 'd', { secret: 6 }, { version: 6, audience: { users: ['u1'] } })
    void project.updated('document', 'd', { n: 5 }, { version: 5 })
    void project.deleted('document', 'e', { version: 6, audience: { users: ['u1'] } })
    void project.updated('document', 'e', { n: 5 }, { version: 5 })
    await clock.advance(150)
    expect(stranger.events.map(({ data }) => [data.id, data.data])).toEqual([
      ['d', { n: 5 }],
      ['e', { n: 5 }],
    ])
    await hub.close()
  })

  it('[D7] a window that grows large is not waited for', async () => {
    const { hub, clock, stream, project } = await windowed()
    for (let n = 0; n < 1_000; n++) void project.updated('document', `d${n}`)
    await clock.settle()
    expect(stream.events).toHaveLength(1_000)
    await hub.close()
  })

  it('[D1] projects have windows of their own', async () => {
    const { hub, clock, stream, project } = await windowed()
    void project.updated('document', 'd')
    void hub.project('p2').emit('note:added', 1)
    await clock.settle()
    expect(stream.events).toEqual([])
    await clock.advance(150)
    expect(stream.events).toHaveLength(1)
    await hub.close()
  })

  it('[D7] close waits for what is in a window, and its readers get it', async () => {
    const { hub, stream, project } = await windowed()
    const published = project.updated('document', 'd')
    await hub.close()
    expect(await published).toBe(stream.lastEventId)
    expect(stream.types).toEqual(['connected', 'entity.updated', 'closing'])
  })

  it('[C9] no timer is left of a window that is through', async () => {
    const { hub, clock, stream, project } = await windowed()
    // From now on the log has something to look after, in its own time.
    await hub.project('p2').emit('a:b', 1)
    const before = clock.timers
    void project.updated('document', 'd')
    expect(clock.timers).toBe(before + 1)
    await clock.advance(150)
    expect(clock.timers).toBe(before)
    expect(stream.events).toHaveLength(1)
    await hub.close()
  })
})
