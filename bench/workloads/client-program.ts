import { EventSubscriber } from '@entitycast/sse-client'
import { matchesPattern } from '@entitycast/sse-protocol'
import { EventSource } from 'eventsource'
import { benchEvent, frameOf } from '../contenders/event'

/*
 * One client in a process of its own: `node client-program.mjs <name> <megabytes>`. The bytes come from memory, 64 KiB a read, so that
 * nothing but the client is measured: decoding, parsing, JSON, checking, and finding the handlers among 1,000 patterns.
 */

const SUBSCRIPTIONS = 1_000
const FRAME_BYTES = 200
const CHUNK = 65_536

const [name = '', megabytes = '100'] = process.argv.slice(2)

const HELLO =
  'event: connected\nid: k3J9xQmB7sTzL2vR.0\nretry: 1000\ndata: {"connectionId":"conn_1","projectId":"proj_123","resume":"live","heartbeatMs":15000}\n\n'

/** Whole frames, each about 200 bytes: every subscription gets its share. */
function block(): { text: string; events: number } {
  let text = ''
  let events = 0
  while (text.length < CHUNK) {
    const event = benchEvent(events, '')
    const frame = frameOf({ ...event, id: `doc_${events % SUBSCRIPTIONS}`, data: { mark: '', title: '' } })
    const fill = 'x'.repeat(Math.max(0, FRAME_BYTES - frame.length))
    text += frameOf({ ...event, id: `doc_${events % SUBSCRIPTIONS}`, data: { mark: '', title: fill } })
    events++
  }
  return { text, events }
}

const { text, events } = block()
const chunk = Buffer.from(text)
const rounds = Math.ceil((Number(megabytes) * 1_000_000) / chunk.length)
const expected = rounds * events

/** A response whose body is the hello and then so many chunks; it stays open at the end. */
function answer(): Response {
  let left = rounds
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(Buffer.from(HELLO)),
      pull: (controller) => {
        if (left-- > 0) controller.enqueue(new Uint8Array(chunk))
      },
    },
    { highWaterMark: 1 },
  )
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

const clients: Record<string, (count: () => void) => void> = {
  entitycast(count) {
    const updates = new EventSubscriber('http://localhost/stream', {
      projectId: 'proj_123',
      fetch: async () => answer(),
    })
    for (let i = 0; i < SUBSCRIPTIONS; i++) updates.subscribe(`document:doc_${i}`, count)
    updates.connect()
  },
  // What a page does without a library for it: the standard's parser, JSON, and each handler asked whether it is meant.
  eventsource(count) {
    const patterns = Array.from({ length: SUBSCRIPTIONS }, (_, i) => `document:doc_${i}`)
    const source = new EventSource('http://localhost/stream', { fetch: async () => answer() as never })
    source.addEventListener('entity.updated', ({ data }) => {
      const event = JSON.parse(data)
      for (const pattern of patterns) if (matchesPattern(pattern, event)) count()
    })
  },
  // The same with one lookup: the least that a page can do.
  'eventsource-map'(count) {
    const handlers = new Map(Array.from({ length: SUBSCRIPTIONS }, (_, i) => [`document:doc_${i}`, count]))
    const source = new EventSource('http://localhost/stream', { fetch: async () => answer() as never })
    source.addEventListener('entity.updated', ({ data }) => {
      const { entity, id } = JSON.parse(data)
      handlers.get(`${entity}:${id}`)?.()
    })
  },
}

const run = clients[name]
if (!run) throw new Error(`there is no client ${name}`)
let seen = 0
let before = process.cpuUsage()
let began = performance.now()
const warm = Math.floor(expected / 5)
run(() => {
  seen++
  if (seen === warm) {
    before = process.cpuUsage()
    began = performance.now()
  }
  if (seen < expected) return
  const { user, system } = process.cpuUsage(before)
  const bytes = (rounds * chunk.length * (expected - warm)) / expected
  const seconds = (performance.now() - began) / 1_000
  console.log(
    JSON.stringify({ megabytesPerCpuSecond: bytes / (user + system), megabytesPerSecond: bytes / 1_000_000 / seconds }),
  )
  process.exit()
})
