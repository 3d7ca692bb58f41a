import { connect, type Socket } from 'node:net'
import { answerMessages } from './answer-messages'

/*
 * A crowd of clients in a process of its own, as light as they can be: they look for `id:` lines in what comes and check that each is
 * the one after the last. What they are asked, and answer, is in `SwarmMessage`.
 */

export type SwarmMessage =
  /** Opens streams; answers when each has had its first frame. `reads: false`: they read that, and nothing after. */
  | { do: 'open'; port: number; count: number; path?: string; reads?: boolean }
  /** Answers when every reader has seen this offset. */
  | { do: 'reach'; offset: number }
  /** Opens and leaves: after the headers, or right after the request was sent. Answers when all have gone. */
  | { do: 'visit'; port: number; count: number; atOnce: number; path: string; leave: 'connected' | 'asked' | 'reading' }
  | { do: 'report' }
  | { do: 'close' }

export interface SwarmReport {
  readers: number
  /** Ids that were seen by all readers together, and by the one who saw fewest. */
  ids: number
  fewest: number
  /** What came out of order, twice, or not at all. */
  faults: string[]
  resyncs: number
  /** Connections that have ended by themselves. */
  ended: number
  bytes: number
}

const ID = Buffer.from('\nid: ')
const RESYNC = Buffer.from('event: resync')
const LINE_FEED = 10
const DOT = 46

class Client {
  offset = -1
  ids = 0
  bytes = 0
  resyncs = 0
  ended = false
  closing = false
  fault = ''
  #rest: Buffer = Buffer.alloc(0)

  constructor(
    readonly socket: Socket,
    readonly moved: () => void,
  ) {
    socket.on('error', () => {})
    socket.on('close', () => {
      this.ended = true
      this.moved()
    })
  }

  read(chunk: Buffer): void {
    this.bytes += chunk.length
    const text = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    let from = 0
    for (;;) {
      const start = text.indexOf(ID, from)
      if (start < 0) break
      const end = text.indexOf(LINE_FEED, start + ID.length)
      if (end < 0) break
      const resync = text.subarray(Math.max(0, start - 24), start).includes(RESYNC)
      this.#see(Number(text.subarray(text.lastIndexOf(DOT, end) + 1, end).toString('latin1')), resync)
      from = end
    }
    // What may be the beginning of a line that is not here yet.
    this.#rest = Buffer.from(text.subarray(Math.max(from, text.length - 200)))
    this.moved()
  }

  #see(offset: number, resync: boolean): void {
    // A heartbeat and `connected` repeat the cursor; an event is the one after it.
    if (resync) this.resyncs++
    else if (this.offset >= 0 && offset !== this.offset && offset !== this.offset + 1) {
      this.fault ||= `${offset} after ${this.offset}`
    }
    if (offset !== this.offset && this.offset >= 0) this.ids++
    this.offset = offset
  }
}

const readers = new Set<Client>()
const stalled = new Set<Client>()
let wake = () => {}

function requestOf(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`
}

function until(condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!condition()) return
      wake = () => {}
      resolve()
    }
    wake = check
    check()
  })
}

async function open({ port, count, path = '/', reads = true }: SwarmMessage & { do: 'open' }): Promise<void> {
  const clients: Client[] = []
  for (let n = 0; n < count; n++) {
    const socket = connect(port, '127.0.0.1')
    const client = new Client(socket, () => wake())
    clients.push(client)
    socket.write(requestOf(path))
    const first = (chunk: Buffer) => {
      client.read(chunk)
      if (client.offset < 0) return
      if (reads) return
      socket.off('data', first)
      socket.pause()
    }
    socket.on('data', first)
    ;(reads ? readers : stalled).add(client)
    // The backlog of a listening socket is short.
    if (n % 100 === 99) await until(() => clients.every(({ offset, ended }) => offset >= 0 || ended))
  }
  await until(() => clients.every(({ offset, ended }) => offset >= 0 || ended))
}

function visit(port: number, path: string, leave: 'connected' | 'asked' | 'reading'): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.write(requestOf(path), () => {
      if (leave === 'asked') socket.destroy()
    })
    let text = ''
    socket.on('data', (chunk) => {
      text = (text + chunk.toString('latin1')).slice(0, 4_096)
      if (text.includes(leave === 'connected' ? 'event: connected' : 'event: entity.')) socket.destroy()
    })
  })
}

function report(): SwarmReport {
  const all = [...readers]
  return {
    readers: readers.size,
    ids: all.reduce((sum, { ids }) => sum + ids, 0),
    fewest: Math.min(...all.map(({ ids }) => ids)),
    faults: all.flatMap(({ fault }) => (fault ? [fault] : [])).slice(0, 5),
    resyncs: all.reduce((sum, { resyncs }) => sum + resyncs, 0),
    ended: [...all, ...stalled].filter(({ ended }) => ended).length,
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

answerMessages<SwarmMessage>(async (message) => {
  if (message.do === 'open') await open(message)
  else if (message.do === 'reach') {
    await until(() => [...readers].every(({ offset, ended }) => offset >= message.offset || ended))
  } else if (message.do === 'visit') {
    let left = message.count
    const one = async () => {
      while (left-- > 0) await visit(message.port, message.path, message.leave)
    }
    await Promise.all(Array.from({ length: message.atOnce }, one))
  } else if (message.do === 'close') {
    const all = [...readers, ...stalled]
    for (const { socket } of all) socket.destroy()
    await until(() => all.every(({ ended }) => ended))
    readers.clear()
    stalled.clear()
  }
  return report()
})
