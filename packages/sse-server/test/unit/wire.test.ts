import { expect, it } from 'vitest'
import { end, testHub } from '../support/hub'
import { RecordingSink } from '../support/recording-sink'
import { open } from '../support/stream'

it('[W4] whatever a stream carries, a frame with an id has an event and a data too', async () => {
  const { hub, clock } = testHub({ retention: { events: 20 } })
  const sink = new RecordingSink()
  const stream = await open(hub, { projectId: 'p1' }, { sink, lastEventId: 'no-such.1' })
  const project = hub.project('p1')
  // A page of merged updates, then more than the log keeps, then a heartbeat, then the end.
  for (const events of [12, 60]) {
    await project.updated('document', 'd0', { events })
    await clock.settle()
    sink.stall()
    await project.emit('filler:full', {})
    await clock.settle()
    for (let n = 0; n < events; n++) await project.updated('document', `d${n % 5}`, { n })
    await clock.settle()
    sink.resume()
    await clock.settle()
  }
  await clock.advance(16_000)
  await end(hub, clock)
  expect(new Set(stream.types)).toEqual(
    new Set(['connected', 'resync', 'entity.updated', 'filler:full', 'heartbeat', 'closing']),
  )
  expect(stream.resyncs).toEqual(['epoch', 'overflow'])
  const blocks = sink.received.split('\n\n').filter((block) => block !== '')
  const withId = blocks.filter((block) => /^id: /m.test(block))
  expect(withId.length).toBeGreaterThan(5)
  for (const block of withId) {
    expect(block).toMatch(/^event: \S+$/m)
    expect(block).toMatch(/^data: \S/m)
  }
})
