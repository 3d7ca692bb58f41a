import type { ProjectEvent } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { GatedLog } from '../support/gated-log'
import { codeOf, testHub } from '../support/hub'
import { open } from '../support/stream'
import { VirtualClock } from '../support/virtual-clock'

const names = (events: ProjectEvent[]) => events.map(({ type, id }) => (id ? `${type} ${id}` : type))

describe('listen', () => {
  async function listening(filter: { projectId: string; type?: string } | { projectId: string; pattern: string }) {
    const made = testHub()
    const events: ProjectEvent[] = []
    const resyncs: string[] = []
    const stop = made.hub.listen(
      filter as { projectId: string; type?: string },
      (event) => void events.push(event as ProjectEvent),
      { onResync: (reason) => resyncs.push(reason) },
    )
    await made.clock.settle()
    return { ...made, events, resyncs, stop, project: made.hub.project('p1') }
  }

  it("[D1] gives a project's events, whole and in order, whatever their channel or audience", async () => {
    const { hub, clock, events, project } = await listening({ projectId: 'p1' })
    await project.created('document', 'a', { n: 1 }, { channel: 'docs', version: 4 })
    await project.emit('lock:acquired', 7, { audience: { users: ['u1'] } })
    await hub.project('p2').updated('document', 'foreign')
    await project.batch('document', ['a', 'b'])
    await clock.settle()
    const timestamp = new Date(clock.now()).toISOString()
    expect(events).toEqual([
      {
        type: 'entity.created',
        entity: 'document',
        id: 'a',
        data: { n: 1 },
        projectId: 'p1',
        channel: 'docs',
        timestamp,
        version: 4,
      },
      { type: 'lock:acquired', data: 7, projectId: 'p1', timestamp },
      { type: 'entity.batch', entity: 'document', id: null, ids: ['a', 'b'], projectId: 'p1', timestamp },
    ])
    await hub.close()
  })

  it('[N6] by type pattern, [N5] by pattern', async () => {
    const byType = await listening({ projectId: 'p1', type: 'lock:*' })
    await byType.project.updated('document', 'a')
    await byType.project.emit('lock:acquired', 1)
    await byType.project.emit('lock:released', 1)
    await byType.clock.settle()
    expect(names(byType.events)).toEqual(['lock:acquired', 'lock:released'])
    await byType.hub.close()
    const byPattern = await listening({ projectId: 'p1', pattern: 'document:a' })
    await byPattern.project.updated('document', 'b')
    await byPattern.project.deleted('document', 'a')
    await byPattern.project.batch('document', ['b', 'a'])
    await byPattern.clock.settle()
    expect(names(byPattern.events)).toEqual(['entity.deleted a', 'entity.batch'])
    await byPattern.hub.close()
  })

  it('[D2] after stop nothing more comes, also when it was stopped before it began', async () => {
    const { hub, clock, events, project, stop } = await listening({ projectId: 'p1' })
    await project.updated('document', 'before')
    stop()
    stop()
    let called = 0
    hub.listen({ projectId: 'p1' }, () => void called++)()
    await clock.settle()
    await project.updated('document', 'after')
    await clock.settle()
    expect(names(events)).toEqual(['entity.updated before'])
    expect(called).toBe(0)
    await hub.close()
  })

  it('[S8] a handler that throws or rejects is reported, and everyone else gets everything', async () => {
    const { hub, clock, logger } = testHub()
    const seen: string[] = []
    hub.listen({ projectId: 'p1' }, () => {
      throw new Error('first')
    })
    hub.listen({ projectId: 'p1' }, async () => {
      throw new Error('second')
    })
    hub.listen({ projectId: 'p1' }, (event) => void seen.push(event.type))
    await clock.settle()
    const stream = await open(hub, { projectId: 'p1' })
    await hub.project('p1').updated('document', 'd')
    await clock.settle()
    expect(seen).toEqual(['entity.updated'])
    expect(stream.events).toHaveLength(1)
    expect(logger.lines.map(({ details }) => (details as { error: string }).error)).toEqual([
      'Error: first',
      'Error: second',
    ])
    await hub.close()
  })

  it("[D1] a handler that publishes: everyone still sees the log's order", async () => {
    const { hub, clock } = testHub()
    const seen: [string[], string[]] = [[], []]
    hub.listen({ projectId: 'p1' }, (event) => {
      seen[0].push(event.id as string)
      if (event.id === 'a') void hub.project('p1').updated('document', 'answer')
    })
    hub.listen({ projectId: 'p1' }, (event) => void seen[1].push(event.id as string))
    await clock.settle()
    const stream = await open(hub, { projectId: 'p1' })
    await hub.project('p1').updated('document', 'a')
    await hub.project('p1').updated('document', 'b')
    await clock.settle()
    expect(seen).toEqual([
      ['a', 'answer', 'b'],
      ['a', 'answer', 'b'],
    ])
    expect(stream.events.map(({ data }) => data.id)).toEqual(['a', 'answer', 'b'])
    await hub.close()
  })

  it('[D1] a handler that publishes while a whole window enters the log makes no gap', async () => {
    const { hub, clock } = testHub({ conflateWindowMs: 100 })
    const seen: string[] = []
    hub.listen({ projectId: 'p1' }, (event) => {
      seen.push(String(event.id ?? event.type))
      if (event.id === 'a') void hub.project('p1').emit('note:answer', 1)
    })
    await clock.settle()
    const stream = await open(hub, { projectId: 'p1' })
    for (const id of ['a', 'b', 'c']) void hub.project('p1').updated('document', id)
    await clock.advance(200)
    expect(stream.resyncs).toEqual([])
    expect(seen).toEqual(['a', 'b', 'c', 'note:answer'])
    expect(stream.types.slice(1)).toEqual(['entity.updated', 'entity.updated', 'entity.updated', 'note:answer'])
    await hub.close()
  })

  it('[D4] a listener is told where events may have been missed', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    const resyncs: string[] = []
    hub.listen({ projectId: 'p1' }, () => {}, { onResync: (reason) => resyncs.push(reason) })
    await clock.settle()
    log.listeners.get('p1')?.doubt({ epoch: 'another', offset: 0 }, 'broker-gap')
    expect(resyncs).toEqual(['broker-gap'])
    await hub.close()
  })

  it('[D4] a listener is told of a hole in what the log tells', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub } = testHub({ adapter: log, ports: { clock } })
    const seen: string[] = []
    hub.listen({ projectId: 'p1' }, ({ type }) => seen.push(type), { onResync: (reason) => seen.push(reason) })
    await clock.settle()
    const tell = (offset: number, type: string) =>
      log.listeners
        .get('p1')
        ?.entries([
          { offset, record: { type, data: '{"data":1,"timestamp":"2026-01-31T09:30:00.000Z"}', channel: 'default' } },
        ])
    for (const [offset, type] of [
      [1, 'note:first'],
      [3, 'note:lost'],
      [4, 'note:after'],
    ] as const)
      tell(offset, type)
    expect(seen).toEqual(['note:first', 'broker-gap', 'note:after'])
    await hub.close()
  })

  it('[B1] a listener whose log cannot be opened tries again, and is told that it may have missed something', async () => {
    const clock = new VirtualClock()
    const log = new GatedLog(clock)
    const { hub, logger } = testHub({ adapter: log, ports: { clock } })
    log.fails = (call, nth) => (call === 'open' && nth <= 2 ? new Error('broker down') : undefined)
    const events: ProjectEvent[] = []
    const resyncs: string[] = []
    hub.listen({ projectId: 'p1' }, (event) => void events.push(event as ProjectEvent), {
      onResync: (reason) => resyncs.push(reason),
    })
    await clock.advance(5_000)
    await hub.project('p1').updated('document', 'd')
    expect(names(events)).toEqual(['entity.updated d'])
    expect(resyncs).toEqual(['broker-gap'])
    expect(logger.lines).toHaveLength(2)
    await hub.close()
  })

  it('[N11] a bad filter throws at once', async () => {
    const { hub } = testHub()
    const handler = () => {}
    expect(await codeOf(() => hub.listen({ projectId: '' }, handler))).toBe('INVALID_PROJECT_ID')
    expect(await codeOf(() => hub.listen({} as never, handler))).toBe('INVALID_PROJECT_ID')
    expect(await codeOf(() => hub.listen({ projectId: 'p1', type: 'lock*' }, handler))).toBe('INVALID_PATTERN')
    expect(await codeOf(() => hub.listen({ projectId: 'p1', pattern: 'document' }, handler))).toBe('INVALID_PATTERN')
    await hub.close()
    expect(await codeOf(() => hub.listen({ projectId: 'p1' }, handler))).toBe('CLOSED')
  })

  it('[C9] listeners that have stopped leave nothing behind', async () => {
    const { hub, clock } = testHub()
    for (let n = 0; n < 100; n++) {
      const stop = hub.listen({ projectId: `p${n}` }, () => {})
      await clock.settle()
      stop()
    }
    await clock.advance(62_000)
    expect(hub.stats().projects).toBe(0)
    expect(clock.timers).toBe(0)
    await hub.close()
  })
})
