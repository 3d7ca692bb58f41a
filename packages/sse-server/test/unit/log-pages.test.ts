import { describe, expect, it } from 'vitest'
import { GatedLog } from '../support/gated-log'
import { end, testHub } from '../support/hub'
import { open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

const ids = (stream: { events: { data: { id: string } }[] }) => stream.events.map(({ data }) => data.id)

describe('a reader whose page must come from the log', () => {
  async function behind() {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const made = testHub({ adapter: log, ports: { clock } })
    const cursor = await made.hub.cursor('p1')
    await made.hub.project('p1').updated('document', 'a')
    await made.hub.project('p1').updated('document', 'b')
    await clock.advance(62_000)
    expect(made.hub.stats().projects).toBe(0)
    return { ...made, clock, log, cursor, reads: log.calls.read }
  }

  it('[D4] a log that fails for a while is asked again, the stream is kept, and it is reported once', async () => {
    const { hub, clock, log, cursor, logger, reads } = await behind()
    log.fails = (call, nth) => (call === 'read' && nth > reads + 1 ? new Error('broker down') : undefined)
    const stream = await open(hub, { projectId: 'p1' }, { lastEventId: cursor })
    await clock.advance(10_000)
    expect(stream.events).toEqual([])
    expect(stream.closed).toBe(false)
    expect(logger.lines).toHaveLength(1)
    log.fails = () => undefined
    await clock.advance(2_000)
    expect(ids(stream)).toEqual(['a', 'b'])
    await end(hub, clock)
  })

  it('[D4] what is published while the page is read follows it, once', async () => {
    const { hub, clock, log, cursor, reads } = await behind()
    log.holds = (call, nth) => call === 'read' && nth > reads + 1
    const stream = await open(hub, { projectId: 'p1' }, { lastEventId: cursor })
    await hub.project('p1').updated('document', 'c')
    await clock.settle()
    log.release()
    await clock.settle()
    expect(ids(stream)).toEqual(['a', 'b', 'c'])
    await end(hub, clock)
  })

  it('[D4] those who come back together ask the log once, and each gets all of it', async () => {
    const { hub, clock, log, cursor, reads } = await behind()
    log.holds = (call) => call === 'read'
    const opening = Promise.all([0, 1, 2].map(() => open(hub, { projectId: 'p1' }, { lastEventId: cursor })))
    await clock.settle()
    expect(log.calls.read).toBe(reads + 1)
    log.release()
    const streams = await opening
    await clock.settle()
    for (const stream of streams) expect(ids(stream)).toEqual(['a', 'b'])
    // Where they are, and the page.
    expect(log.calls.read).toBe(reads + 2)
    await end(hub, clock)
  })

  it('[D4] what lies ahead of this process is asked for anew each time: it may be there by now', async () => {
    const { hub, clock, log, cursor, reads } = await behind()
    const ahead = cursor.replace(/\.0$/, '.3')
    log.holds = (call) => call === 'read'
    const opening = Promise.all([0, 1].map(() => open(hub, { projectId: 'p1' }, { lastEventId: ahead })))
    await clock.settle()
    expect(log.calls.read).toBe(reads + 2)
    log.release()
    for (const stream of await opening) expect(stream.resyncs).toEqual(['ahead'])
    await end(hub, clock)
  })

  it('[D4] a heartbeat meanwhile does not claim the head', async () => {
    const { hub, clock, log, cursor, reads } = await behind()
    log.holds = (call, nth) => call === 'read' && nth > reads + 1
    const stream = await open(hub, { projectId: 'p1' }, { lastEventId: cursor })
    await clock.advance(16_000)
    expect(stream.frames.at(-1)).toMatchObject({ type: 'heartbeat', id: undefined })
    log.release()
    await clock.settle()
    expect(ids(stream)).toEqual(['a', 'b'])
    await end(hub, clock)
  })

  it('[D4] a log that becomes another one while the page is read: one resync, and nothing of the old one', async () => {
    const { hub, clock, log, cursor, reads } = await behind()
    log.holds = (call, nth) => call === 'read' && nth > reads + 1
    const stream = await open(hub, { projectId: 'p1' }, { lastEventId: cursor })
    log.listeners.get('p1')?.doubt({ epoch: 'another', offset: 7 }, 'epoch')
    await clock.settle()
    log.release()
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'resync'])
    expect(stream.lastEventId).toBe('another.7')
    const listener = log.listeners.get('p1')
    listener?.entries([
      {
        offset: 8,
        record: { type: 'note:added', data: '{"data":1,"timestamp":"2026-01-31T09:30:00Z"}', channel: 'default' },
      },
    ])
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'resync', 'note:added'])
    await end(hub, clock)
  })

  it('[D4] a page of the old log is not kept for readers of the new one', async () => {
    const { hub, clock, log, cursor, reads } = await behind()
    // Two readers at one place, so that a page is worth keeping. Both are located by one question.
    log.holds = (call, nth) => call === 'read' && nth > reads + 1
    const streams = await Promise.all([0, 1].map(() => open(hub, { projectId: 'p1' }, { lastEventId: cursor })))
    const listener = log.listeners.get('p1')
    listener?.doubt({ epoch: 'another', offset: 0 }, 'epoch')
    await clock.settle()
    log.release()
    await clock.settle()
    const record = (data: number) => ({
      type: 'note:added',
      data: `{"data":${data},"timestamp":"2026-01-31T09:30:00Z"}`,
      channel: 'default',
    })
    listener?.entries([{ offset: 1, record: record(1) }])
    const newcomer = await open(hub, { projectId: 'p1' }, { lastEventId: 'another.0' })
    await clock.settle()
    expect(newcomer.types).toEqual(['connected', 'note:added'])
    for (const stream of streams) expect(stream.types).toEqual(['connected', 'resync', 'note:added'])
    await end(hub, clock)
  })

  it('[B3] what is no event of ours in the log is a resync for its readers, not the end of the process', async () => {
    const { hub, clock, log, logger } = await behind()
    const stream = await open(hub, { projectId: 'p1' })
    const listener = log.listeners.get('p1')
    listener?.entries([{ offset: 3, record: { type: 'a\r\nid: forged', data: '{}', channel: 'default' } }])
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'resync'])
    expect(stream.resyncs).toEqual(['broker-gap'])
    expect(logger.lines).toHaveLength(1)
    expect(stream.closed).toBe(false)
    await end(hub, clock)
  })

  it('[B3 S8] its place is reported, once, and nothing of what it holds', async () => {
    const { hub, clock, log, logger } = await behind()
    const streams = await Promise.all(Array.from({ length: 5 }, () => open(hub, { projectId: 'p1' })))
    for (const { sink } of streams) sink.stall()
    hub.listen({ projectId: 'p1' }, () => {})
    await clock.settle()
    const tell = (offset: number, data: string) => {
      const record = { type: 'entity.updated', data, channel: 'default', key: 'document:d' }
      log.listeners.get('p1')?.entries([{ offset, record }])
    }
    tell(3, '{}')
    await clock.settle()
    const [before] = logger.lines.splice(0)
    expect(before?.details).toMatchObject({ error: expect.stringMatching(/after 2\b.*INVALID_TIMESTAMP/) })
    tell(4, 'hunter2')
    tell(5, 'hunter2')
    await clock.settle()
    for (const { sink } of streams) sink.resume()
    await clock.settle()
    expect(streams.map(({ resyncs }) => resyncs)).toEqual(Array(5).fill(['broker-gap']))
    expect(JSON.stringify(logger.lines)).not.toMatch('hunter2')
    const errors = logger.lines.map(({ details }) => (details as { error: string }).error)
    expect(errors.map((error) => /after (\d+)/.exec(error)?.[1])).toEqual(['3', '4', '3'])
    await end(hub, clock)
  })

  it('[D4] a hole in what the log tells is told, never passed over', async () => {
    const { hub, clock, log } = await behind()
    const stream = await open(hub, { projectId: 'p1' })
    const record = { type: 'note:added', data: '{"data":1,"timestamp":"2026-01-31T09:30:00Z"}', channel: 'default' }
    log.listeners.get('p1')?.entries([{ offset: 5, record }])
    await clock.settle()
    expect(stream.resyncs).toEqual(['broker-gap'])
    log.listeners.get('p1')?.entries([
      { offset: 5, record },
      { offset: 4, record },
      { offset: 6, record },
    ])
    await clock.settle()
    expect(stream.types).toEqual(['connected', 'resync', 'note:added'])
    await end(hub, clock)
  })

  it('[D4] nor one in a page: what was asked for after a place is that, or is told', async () => {
    for (const left of [[0], [2], [0, 2], [1, 0, 2], [0, 0, 1]]) {
      const { hub, clock, log, cursor } = await behind()
      await hub.project('p1').updated('document', 'c')
      await clock.advance(62_000)
      const read = log.read.bind(log)
      log.read = async (...asked) => {
        const page = await read(...asked)
        return 'gap' in page || asked[2] === 1 ? page : { entries: left.flatMap((n) => page.entries[n] ?? []) }
      }
      const stream = await open(hub, { projectId: 'p1' }, { lastEventId: cursor })
      await clock.settle()
      await hub.project('p1').updated('document', 'after')
      await clock.settle()
      const proven = left[0] === 0 && left.length === 1
      expect([left, stream.resyncs]).toEqual([left, proven ? [] : ['broker-gap']])
      expect([left, ids(stream)]).toEqual([left, proven ? ['a', 'b', 'c', 'after'] : ['after']])
      await end(hub, clock)
    }
  })
})
