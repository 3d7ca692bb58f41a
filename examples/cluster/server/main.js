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

/** Resolves with a new worker, once it listens; where it dies before that, with the one that takes its place. */
function fork() {
  const worker = cluster.fork()
  const bornAt = performance.now()
  return new Promise((resolve) => {
    worker.on('exit', (code, signal) => {
      console.log(`worker ${worker.process.pid} has ended (${signal ?? code})`)
      if (leaving.delete(worker)) return
      const again = () => {
        if (!stopping) resolve(fork())
      }
      setTimeout(again, performance.now() - bornAt < STABLE_MS ? STABLE_MS : 0)
    })
    worker.once('listening', ({ address: host, port }) => {
      address ||= `http://${host}:${port}`
      console.log(`worker ${worker.process.pid} serves ${address}`)
      resolve(worker)
    })
  })
}

/** @param {Worker} worker */
async function end(worker) {
  if (worker.isDead()) return
  leaving.add(worker)
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  worker.process.kill('SIGTERM')
  await ended
}

let restarted = Promise.resolve()
async function restart() {
  for (const worker of Object.values(cluster.workers ?? {})) {
    if (!worker || worker.isDead() || stopping) continue
    // Its place is taken already: where it dies meanwhile, it needs no other one.
    leaving.add(worker)
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
