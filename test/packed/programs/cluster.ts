// Two workers: each publishes, and both hear both.
import assert from 'node:assert/strict'

const workers = 2

async function serve(hub: EventHub): Promise<void> {
  const heard: unknown[] = []
  const both = new Promise<void>((resolve) => {
    hub.listen({ projectId: 'proj_123', type: 'note:*' }, ({ data }) => {
      heard.push(data)
      if (heard.length === workers) resolve()
    })
  })
  await hub.cursor('proj_123')
  // The log's own messages come over the same channel.
  process.on('message', (message) => {
    if (message === 'go') void hub.project('proj_123').emit('note:added', { by: process.pid })
  })
  process.send?.('ready')
  await both
  assert(JSON.stringify(heard).includes(String(process.pid)))
  process.send?.({ heard })
  await hub.close()
  process.disconnect()
}

// >>> cluster
import cluster from 'node:cluster'
import { EventHub } from '@entitycast/sse-server'
import { ClusterAdapter, startClusterLog } from '@entitycast/sse-server/cluster'

if (cluster.isPrimary) {
  startClusterLog()                                                   // once; the log is in this process
  for (let n = 0; n < workers; n++) cluster.fork()
} else {
  const hub = new EventHub({ adapter: new ClusterAdapter() })         // the rest of the application is as before
  await serve(hub)
}
// <<<

if (cluster.isPrimary) {
  assert.throws(() => new ClusterAdapter(), { code: 'INVALID_OPTION' })
  const orders: string[] = []
  let ready = 0
  cluster.on('message', (_, message: 'ready' | { heard?: unknown }) => {
    if (message !== 'ready') {
      if (message.heard) orders.push(JSON.stringify(message.heard))
    } else if (++ready === workers) {
      for (const worker of Object.values(cluster.workers ?? {})) worker?.send('go')
    }
  })
  cluster.on('exit', (_, code) => {
    assert.equal(code, 0)
    if (Object.keys(cluster.workers ?? {}).length > 0) return
    assert.equal(orders.length, workers)
    assert.equal(orders[0], orders[1], 'one order')
    console.log('ran')
  })
}
