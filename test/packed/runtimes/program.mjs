/**
 * Of `runtimes.test.ts`: runs in Node, Deno and Bun alike, says each thing on a line of its own, and ends by itself. What keeps it is the subscriber.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const [what, url] = isMainThread ? process.argv.slice(2) : workerData
const say = (...words) => (isMainThread ? process.stdout.write(`${words.join(' ')}\n`) : parentPort.postMessage(words))

if (what === 'worker' && isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: ['follow', url] })
  worker.on('message', (words) => say(...words))
} else {
  const watched = ['fetch', 'location', 'document', 'navigator', 'AbortController', 'TextDecoder', 'setTimeout', 'Math']
  const { EventSubscriber } = what === 'touch' ? await touching(watched) : await import('@entitycast/sse-client')
  const { NodeSubscriber } = await import('@entitycast/sse-client/node')
  const { EventSource } = await import('@entitycast/sse-client/event-source')

  if (what === 'source') {
    const source = new EventSource(url)
    source.addEventListener('program:close', ({ lastEventId, origin }) => {
      say('program:close', lastEventId !== '', origin)
      source.close()
    })
    source.onopen = () => say('open')
    source.onerror = () => say('error', source.readyState)
  } else if (what !== 'touch') {
    const Subscriber = what === 'leave' || what === 'follow-node' ? NodeSubscriber : EventSubscriber
    const headers = { authorization: what === 'refused' ? 'nobody' : 'somebody' }
    const updates = new Subscriber(url, { headers, ...(what === 'leave' && { keepProcessAlive: false }) })
    updates.onState((state) => say(state))
    updates.onError(({ code, status = '' }) => say(code, status))
    updates.onResync(({ reason }) => say('resync', reason))
    updates.subscribe('document:*', ({ id, data }) => say('document', id, JSON.stringify(data)))
    updates.on('program:close', () => updates.close())
    updates.connect()
    // It has work until there is a stream, which is then all that it has.
    const work = what === 'leave' && setInterval(() => {}, 1_000)
    updates.onState((state) => state === 'connected' && clearInterval(work))
  }
}

/** The client, and which globals were read while it was loaded. Deno's and Bun's own loaders read none of these. */
async function touching(names) {
  const read = new Set()
  const own = names.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)])
  for (const [name, descriptor] of own) {
    const get = () => {
      read.add(name)
      return descriptor?.get ? descriptor.get.call(globalThis) : descriptor?.value
    }
    Object.defineProperty(globalThis, name, { configurable: true, get })
  }
  const keys = Reflect.ownKeys(globalThis).length
  const client = await import('@entitycast/sse-client')
  const added = Reflect.ownKeys(globalThis).length - keys
  for (const [name, descriptor] of own) {
    delete globalThis[name]
    if (descriptor) Object.defineProperty(globalThis, name, descriptor)
  }
  say('read', [...read].join(), 'added', added)
  return client
}
