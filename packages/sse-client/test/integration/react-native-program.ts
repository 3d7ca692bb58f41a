/** A program of `react-native.test.ts`: takes away whatever React Native has not got, and then follows. Bundled by the test. */
import { type IncomingMessage, request } from 'node:http'
import type { Fetch, StreamRequestInit, StreamResponse } from '@entitycast/sse-client'

const { argv, stdout } = process
const [what, url = ''] = argv.slice(2)
const HASTE = 100
const say = (...words: unknown[]) => void stdout.write(`${words.join(' ')}\n`)

/** What React Native sets up beside the language: `setUpXHR`, `setUpTimers`, `setUpPerformance`, `setUpNavigator`. */
const REACT_NATIVE = `Blob File FileReader FormData URL URLSearchParams AbortController AbortSignal
 TextEncoder atob btoa clearImmediate clearInterval clearTimeout console global globalThis navigator performance queueMicrotask
 self setImmediate setInterval setTimeout window`.split(/\s+/)
/** Of the language, as Hermes has it. */
const HERMES =
  `AggregateError Array ArrayBuffer BigInt BigInt64Array BigUint64Array Boolean DataView Date Error EvalError
 Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array Intl JSON Map Math NaN Number Object Promise Proxy
 RangeError ReferenceError Reflect RegExp Set String Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array
 Uint8ClampedArray WeakMap WeakRef WeakSet decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval isFinite isNaN
 parseFloat parseInt undefined unescape`.split(/\s+/)

/** React Native's own: made of `XMLHttpRequest`. There is no answer before its end, and none has a `body`. */
const own: Fetch = async (address, init) => {
  const response = await ask(address, init)
  for await (const _ of response);
  return { status: response.statusCode ?? 0, headers: fieldsOf(response) } as StreamResponse
}

/** As `expo/fetch`: a body that is read as it comes; and with no more than that. */
const expo: Fetch = async (address, init) => {
  const response = await ask(address, init)
  const chunks: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]()
  const read = async () => {
    const { done = false, value } = await chunks.next()
    return { done, value }
  }
  const body = { getReader: () => ({ read }) } as unknown as StreamResponse['body']
  return { status: response.statusCode ?? 0, headers: fieldsOf(response), body }
}

function ask(address: string, { headers, signal }: StreamRequestInit): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request(address, { headers, agent: false }, resolve).on('error', reject).end()
    signal.addEventListener('abort', () => asked.destroy(new Error('Aborted')))
  })
}

function fieldsOf({ headers }: IncomingMessage): StreamResponse['headers'] {
  return { get: (name) => headers[name]?.toString() ?? null }
}

const TextDecoderOfExpo = globalThis.TextDecoder
/** Of those that React Native takes from a package, as that has it: names in lower case, in an object. Node's own is made of globals that go. */
class Headers {
  readonly map: Record<string, string> = {}
  constructor(fields: Record<string, string> = {}) {
    for (const [name, value] of Object.entries(fields)) this.map[name.toLowerCase()] = value
  }
  [Symbol.iterator]() {
    return Object.entries(this.map)[Symbol.iterator]()
  }
}
// The last is Node's: its own `fetch` is loaded by whatever is near it, and asks for that later.
const kept = new Set([...REACT_NATIVE, ...HERMES, 'WebAssembly'])
for (const name of Object.getOwnPropertyNames(globalThis)) if (!kept.has(name)) Reflect.deleteProperty(globalThis, name)
const lacking: [object, string[]][] = [
  [globalThis.AbortSignal, ['any', 'timeout', 'abort']],
  [globalThis.AbortSignal.prototype, ['throwIfAborted']],
  [globalThis.performance.constructor.prototype, ['mark', 'measure', 'timeOrigin']],
  [Promise, ['withResolvers', 'try']],
  [Object, ['groupBy']],
  [Map, ['groupBy']],
  [Array, ['fromAsync']],
]
for (const [of, names] of lacking) for (const name of names) Reflect.deleteProperty(of, name)
Object.assign(globalThis, { Headers, window: globalThis, self: globalThis })
// Node has one of its own from 21 on, that can only be read.
Object.defineProperty(globalThis, 'navigator', { value: { product: 'ReactNative' } })
if (what !== 'bare') Object.assign(globalThis, { TextDecoder: TextDecoderOfExpo })

const { EventSubscriber, applyEntityEvent, storedCursor } = await import('@entitycast/sse-client')
const store = new Map<string, string>()
const updates = new EventSubscriber(
  url,
  {
    fetch: what === 'own' || what === 'endless' ? own : expo,
    identity: 'user',
    cursorStore: storedCursor({
      get: async (key) => store.get(key) ?? null,
      set: async (key, value) => void store.set(key, value),
      remove: async (key) => void store.delete(key),
    }),
  },
  // Nobody waits 45 s for an answer that does not come.
  { random: () => 0, ...(what === 'endless' && { clock: { now: () => Date.now() * HASTE, after: soon } }) },
)
function soon(delayMs: number, task: () => void): () => void {
  const timer = setTimeout(task, delayMs / HASTE)
  return () => clearTimeout(timer)
}

let rows: { id: string }[] = [{ id: 'doc_1' }, { id: 'doc_2' }]
updates.onState((state) => say(state))
updates.onError(({ code, message, cause }) => say(code, message, cause instanceof Error ? cause.message : ''))
updates.onError(() => (what === 'expo' ? undefined : updates.close()))
updates.subscribe('document:*', (event) => {
  rows = applyEntityEvent(rows, event)
  say(event.id, rows.length)
})
updates.on('program:close', () => updates.close())
updates.connect()
