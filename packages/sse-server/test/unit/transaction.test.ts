import { MemoryAdapter } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { testHub } from '../support/hub'

const update = { type: 'entity.updated', entity: 'document', id: 'd', projectId: 'p1' } as const

/** A log that knows transactions, and remembers what was put into which. */
class TransactionalLog extends MemoryAdapter {
  readonly taken: [client: object, projectId: string, data: unknown][] = []

  async appendIn(client: object, projectId: string, records: readonly { data: string }[]) {
    for (const { data } of records) this.taken.push([client, projectId, JSON.parse(data).data])
    return { epoch: 'epoch', offset: 7 }
  }
}

describe('publishing inside of a transaction', () => {
  it('[D7] an adapter without transactions rejects with a code that says so, and nothing is published', async () => {
    const { hub } = testHub()
    const before = await hub.cursor('p1')
    for (const client of [{}, null as unknown as object]) {
      const publish = hub.publish(update, { client })
      await expect(publish).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('memory') })
    }
    await expect(hub.project('p1').deleted('document', 'd', { client: {} })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
    })
    expect(await hub.cursor('p1')).toBe(before)
    expect(hub.stats()).toMatchObject({ published: 0, publishFailures: 3 })
    await hub.close()
  })

  it('[D7] the client reaches the adapter, whichever way of publishing; without one nothing changes', async () => {
    const adapter = new TransactionalLog()
    const { hub } = testHub({ adapter })
    const client = { mine: true }
    const project = hub.project('p1')
    expect(await hub.publish({ ...update, data: 1 }, { client })).toBe('epoch.7')
    await project.created('document', 'd', { n: 2 }, { client })
    await project.updated('document', 'd', { n: 3 }, { client, version: 1 })
    await project.batch('document', ['d'], { n: 4 }, { client })
    await project.emit('note:added', 5, { client, conflateKey: 'k' })
    await project.emit('note:added', 6)
    expect(adapter.taken).toEqual([1, { n: 2 }, { n: 3 }, { n: 4 }, 5].map((data) => [client, 'p1', data]))
    await hub.close()
  })

  it('[D6] it passes the publish window by: neither held up nor merged', async () => {
    const adapter = new TransactionalLog()
    const { hub, clock } = testHub({ adapter, conflateWindowMs: 100 })
    const waiting = hub.publish({ ...update, data: { outside: 1 } })
    await hub.publish({ ...update, data: { inside: 1 } }, { client: adapter })
    expect(adapter.taken.map(([, , data]) => data)).toEqual([{ inside: 1 }])
    await clock.advance(100)
    await waiting
    expect(adapter.taken).toHaveLength(1)
    await hub.close()
  })

  it('[P1 P4] what is no event is refused before the transaction is touched', async () => {
    const adapter = new TransactionalLog()
    const { hub } = testHub({ adapter })
    const broken = hub.publish({ ...update, type: 'a\rb' } as never, { client: {} })
    await expect(broken).rejects.toMatchObject({ code: 'INVALID_TYPE' })
    const large = hub.publish({ ...update, data: { text: 'x'.repeat(70_000) } }, { client: {} })
    await expect(large).rejects.toMatchObject({ code: 'EVENT_TOO_LARGE' })
    expect(adapter.taken).toEqual([])
    await hub.close()
  })
})
