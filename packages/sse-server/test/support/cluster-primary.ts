import { type ClusterLog, startClusterLog } from '@entitycast/sse-server/cluster'

/*
 * A process that holds a log for the one that forked it. `fresh` forgets everything and begins another log, as the next primary would.
 */

let log: ClusterLog | undefined

process.on('message', async (message) => {
  if (message !== 'fresh') return
  await log?.close()
  log = startClusterLog()
  log.attach(process)
  process.send?.('begun')
})
