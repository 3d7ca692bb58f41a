import { defineEvents, EventHub } from '@entitycast/sse-server'

/*
 * Publishing while nobody listens, in a process of its own: `node publish-program.mjs <name> <events>`. `defined` has a schema for the
 * entity besides, which is asked for each event.
 */

const [name = '', count = '500000'] = process.argv.slice(2)

const events = defineEvents({
  entities: {
    document: {
      '~standard': {
        version: 1 as const,
        vendor: 'bench',
        validate: (value: unknown) => {
          const { embeddedChunks, chunks, title } = value as Record<string, unknown>
          return typeof embeddedChunks === 'number' && typeof chunks === 'number' && typeof title === 'string'
            ? { value: { embeddedChunks, chunks, title } }
            : { issues: [{ message: 'not a document' }] }
        },
      },
    },
  },
  named: {},
})
const hub = name === 'defined' ? new EventHub({ events }) : new EventHub()

async function publish(events: number): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < events; i++) {
    await hub.publish({
      type: 'entity.updated',
      entity: 'document',
      id: `doc_${i % 1_000}`,
      projectId: 'proj_123',
      data: { embeddedChunks: i, chunks: 10, title: 'Quarterly report of the northern region' },
    })
  }
  const { user, system } = process.cpuUsage(before)
  return (events / (user + system)) * 1_000_000
}

await publish(Number(count) / 4)
console.log(JSON.stringify({ perCpuSecond: await publish(Number(count)), published: hub.stats().published }))
process.exit()
