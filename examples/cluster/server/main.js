import cluster from 'node:cluster'
import { startClusterLog } from '@entitycast/sse-server/cluster'

/*
 * The primary process: it holds the log of events and the port, and sees to it that there are workers. SIGHUP replaces them one after
 * the other, SIGTERM ends them.
 */

startClusterLog()
cluster.setupPrimary({ exec: new URL('worker.js', import.meta.url).pathname })

const { WORKERS = '2' } = process.env
/** How soon after its birth a worker may die and be replaced at once, in milliseconds. */
const STABLE_MS = 1_000
/** @typedef {import('node:cluster').Worker} Worker */
/** @type {Set<Worker>} */
const leaving = new Set()
let stopping = false
let address = ''

/** Resolves with a new worker, once it listens. */
function fork() {
  const worker = cluster.fork()
  const bornAt = performance.now()
  worker.on('exit', (code, signal) => {
    console.log(`worker ${worker.process.pid} has ended (${signal ?? code})`)
    if (stopping || leaving.delete(worker)) return
    setTimeout(fork, performance.now() - bornAt < STABLE_MS ? STABLE_MS : 0)
  })
  return new Promise((resolve) => {
    worker.once('listening', ({ address: host, port }) => {
      address ||= `http://${host}:${port}`
      console.log(`worker ${worker.process.pid} serves ${address}`)
      resolve(worker)
    })
  })
}

/** @param {Worker} worker */
function end(worker) {
  leaving.add(worker)
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  worker.process.kill('SIGTERM')
  return ended
}

let restarted = Promise.resolve()
async function restart() {
  for (const worker of Object.values(cluster.workers ?? {})) {
    if (!worker || stopping) continue
    await fork()
    await end(worker)
  }
  console.log('all workers are new')
}

async function stop() {
  if (stopping) return
  stopping = true
  await Promise.all(Object.values(cluster.workers ?? {}).map((worker) => worker && end(worker)))
}

process.on('SIGHUP', () => {
  restarted = restarted.then(restart)
})
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => void stop())
for (let n = 0; n < Number(WORKERS); n++) void fork()
