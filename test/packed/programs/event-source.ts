// The EventSource of docs/bindings.md, in Node: a server of any kind answers 503, then a stream that ends, then the rest.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const asked: (string | undefined)[] = []
const server = createServer((request, response) => {
  asked.push(request.headers['last-event-id'] as string | undefined)
  if (asked.length === 1) {
    response.writeHead(503).end()
    return
  }
  response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  if (asked.length === 2) response.end('id: 7\nevent: price\ndata: {"eur":1}\n\n')
  else response.write('event: price\ndata: {"eur":2}\n\n')
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prices`
const token = async () => 'secret'
const stopped = (code: string | undefined) => {
  throw new Error(`stopped: ${code}`)
}
let done!: () => void
const both = new Promise<void>((resolve) => {
  done = resolve
})
const shown: string[] = []
const show = (price: { eur: number }, id: string) => {
  shown.push(`${price.eur} ${id}`)
  if (shown.length === 2) done()
}

// >>> event-source
import { EventSource } from '@entitycast/sse-client/event-source'

const source = new EventSource(url, { headers: async () => ({ authorization: `Bearer ${await token()}` }) })
source.addEventListener('price', ({ data, lastEventId }) => show(JSON.parse(data), lastEventId))
source.onerror = ({ error }) => {
  if (source.readyState === EventSource.CLOSED) stopped(error?.code)     // it comes back by itself otherwise, from a 503 too
}
// <<<

await both
source.close()
server.closeAllConnections()
server.close()
if (shown.join() !== '1 7,2 7' || asked.join() !== ',,7') throw new Error(`${shown} ${asked}`)
console.log('ran')
