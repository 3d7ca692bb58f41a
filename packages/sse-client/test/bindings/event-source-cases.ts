/**
 * What the WHATWG standard (HTML, "Server-sent events", 9.2.5 and 9.2.6) says of streams, as cases and as an oracle. Nothing here is of
 * Node, so that the page of the browser tests uses it too.
 */

/** One dispatched event: its type, its data, and the last event ID string. */
export type Dispatched = readonly [type: string, data: string, lastEventId: string]

export interface StreamCase {
  readonly name: string
  readonly stream: string
  readonly expected: readonly Dispatched[]
  /** The last event ID string when the stream has ended. */
  readonly lastEventId?: string
}

/** The types that the cases use, and that whoever runs them listens to. */
export const TYPES = ['message', 'x', 'y', 'error', 'open', ' x', 'x ', 'ü', 'event']

export const CASES: readonly StreamCase[] = [
  { name: 'one event', stream: 'data: a\n\n', expected: [['message', 'a', '']] },
  { name: 'lines that end in CR', stream: 'data: a\rdata: b\r\r', expected: [['message', 'a\nb', '']] },
  { name: 'lines that end in CRLF', stream: 'data: a\r\ndata: b\r\n\r\n', expected: [['message', 'a\nb', '']] },
  {
    name: 'line ends of all kinds',
    stream: 'data: a\ndata: b\rdata: c\r\n\ndata: d\r\rdata: e\n\r',
    expected: [
      ['message', 'a\nb\nc', ''],
      ['message', 'd', ''],
      ['message', 'e', ''],
    ],
  },
  {
    name: 'LF CR is two line ends',
    stream: 'data: a\n\rdata: b\n\n',
    expected: [
      ['message', 'a', ''],
      ['message', 'b', ''],
    ],
  },
  {
    name: 'no other character ends a line',
    stream: 'data: a\u2028b\u0085c\vd\fe\n\n',
    expected: [['message', 'a\u2028b\u0085c\vd\fe', '']],
  },
  { name: 'a byte order mark first is dropped', stream: '\ufeffdata: a\n\n', expected: [['message', 'a', '']] },
  { name: 'only one is', stream: '\ufeff\ufeffdata: a\n\ndata: b\n\n', expected: [['message', 'b', '']] },
  {
    name: 'elsewhere it is text',
    stream: 'data: a\n\n\ufeffdata: b\n\ndata: \ufeffc\n\n',
    expected: [
      ['message', 'a', ''],
      ['message', '\ufeffc', ''],
    ],
  },
  {
    name: 'one space behind the colon is dropped',
    stream: 'data:a\n\ndata: b\n\ndata:  c\n\ndata:\td\n\n',
    expected: [
      ['message', 'a', ''],
      ['message', 'b', ''],
      ['message', ' c', ''],
      ['message', '\td', ''],
    ],
  },
  {
    name: 'colons in the value',
    stream: 'data:a:b\n\ndata::\n\ndata: :\n\n',
    expected: [
      ['message', 'a:b', ''],
      ['message', ':', ''],
      ['message', ':', ''],
    ],
  },
  { name: 'data lines are joined', stream: 'data: a\ndata:\ndata: b\n\n', expected: [['message', 'a\n\nb', '']] },
  {
    name: 'empty data is an event',
    stream: 'data:\n\ndata\n\ndata: \n\n',
    expected: [
      ['message', '', ''],
      ['message', '', ''],
      ['message', '', ''],
    ],
  },
  { name: 'two empty data lines are one line end', stream: 'data\ndata\n\n', expected: [['message', '\n', '']] },
  {
    name: 'no data, no event',
    stream: 'event: x\n\nevent: x\nid: 1\n\ndata: a\n\n',
    expected: [['message', 'a', '1']],
    lastEventId: '1',
  },
  {
    name: 'a name is forgotten with its block',
    stream: 'event: x\ndata: a\n\ndata: b\n\n',
    expected: [
      ['x', 'a', ''],
      ['message', 'b', ''],
    ],
  },
  { name: 'the last name counts', stream: 'event: x\nevent: y\ndata: a\n\n', expected: [['y', 'a', '']] },
  {
    name: 'an empty name is message',
    stream: 'event: x\nevent:\ndata: a\n\nevent\ndata: b\n\n',
    expected: [
      ['message', 'a', ''],
      ['message', 'b', ''],
    ],
  },
  {
    name: 'a name keeps its spaces',
    stream: 'event:  x\ndata: a\n\nevent: x \ndata: b\n\n',
    expected: [
      [' x', 'a', ''],
      ['x ', 'b', ''],
    ],
  },
  { name: 'a name that is not ASCII', stream: 'event: ü\ndata: ü😀\n\n', expected: [['ü', 'ü😀', '']] },
  {
    name: 'a server may say open and error',
    stream: 'event: open\ndata: a\n\nevent: error\ndata: b\n\n',
    expected: [
      ['open', 'a', ''],
      ['error', 'b', ''],
    ],
  },
  {
    name: 'an id stays',
    stream: 'id: 1\ndata: a\n\ndata: b\n\n',
    expected: [
      ['message', 'a', '1'],
      ['message', 'b', '1'],
    ],
    lastEventId: '1',
  },
  {
    name: 'an id without data counts',
    stream: 'id: 1\n\ndata: a\n\nid: 2\n\n',
    expected: [['message', 'a', '1']],
    lastEventId: '2',
  },
  {
    name: 'an empty id takes it back',
    stream: 'id: 1\ndata: a\n\nid\ndata: b\n\nid: 2\n\nid:\n\ndata: c\n\n',
    expected: [
      ['message', 'a', '1'],
      ['message', 'b', ''],
      ['message', 'c', ''],
    ],
  },
  {
    name: 'an id with NULL is ignored',
    stream: 'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n',
    expected: [
      ['message', 'a', '1'],
      ['message', 'b', '1'],
    ],
    lastEventId: '1',
  },
  {
    name: 'and leaves the one before it in its block',
    stream: 'id: 1\nid: \0\ndata: a\n\n',
    expected: [['message', 'a', '1']],
    lastEventId: '1',
  },
  {
    name: 'an id that is not ASCII',
    stream: 'id: ü😀\ndata: a\n\n',
    expected: [['message', 'a', 'ü😀']],
    lastEventId: 'ü😀',
  },
  {
    name: 'an unfinished block is dropped',
    stream: 'id: 1\ndata: a\n\nid: 2\ndata: b\n',
    expected: [['message', 'a', '1']],
    lastEventId: '1',
  },
  {
    name: 'an unfinished line is dropped',
    stream: 'data: a\n\ndata: b\n\ndata: c',
    expected: [
      ['message', 'a', ''],
      ['message', 'b', ''],
    ],
  },
  { name: 'comments', stream: ':\n: a\n:data: b\ndata: c\n:\n\n:d\n\n', expected: [['message', 'c', '']] },
  {
    name: 'unknown fields',
    stream: 'dat: a\ndatas: b\n data: c\nData: d\nDATA: e\ndata : f\nx\ndata: g\n\n',
    expected: [['message', 'g', '']],
  },
  {
    name: 'retry is of digits',
    stream: 'retry: -1\nretry: 1e3\nretry: 5 \nretry: ٣\nretry:\nretry\ndata: a\n\n',
    expected: [['message', 'a', '']],
  },
  { name: 'NULL in data and names is text', stream: 'data: a\0b\n\n', expected: [['message', 'a\0b', '']] },
  {
    name: 'the example of the standard',
    stream: ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n',
    expected: [
      ['message', 'first event', '1'],
      ['message', 'second event', ''],
      ['message', ' third event', ''],
    ],
  },
  { name: 'nothing', stream: '', expected: [] },
]

/** The standard's interpretation, word for word, as slowly as it likes. */
export function interpret(bytes: Uint8Array): {
  events: Dispatched[]
  lastEventId: string
  retryMs: number | undefined
} {
  // "UTF-8 decode" drops one byte order mark, as TextDecoder does by itself.
  const text = new TextDecoder().decode(bytes)
  const lines: string[] = []
  let line = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string
    if (char !== '\n' && char !== '\r') line += char
    else {
      lines.push(line)
      line = ''
      if (char === '\r' && text[i + 1] === '\n') i++
    }
  }
  const events: Dispatched[] = []
  let [data, type, idBuffer, lastEventId] = ['', '', '', '']
  let retryMs: number | undefined
  for (const line of lines) {
    if (line === '') {
      lastEventId = idBuffer
      if (data !== '') events.push([type || 'message', data.slice(0, -1), lastEventId])
      data = type = ''
      continue
    }
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const field = colon === -1 ? line : line.slice(0, colon)
    let value = colon === -1 ? '' : line.slice(colon + 1)
    if (value.startsWith(' ')) value = value.slice(1)
    if (field === 'event') type = value
    else if (field === 'data') data += `${value}\n`
    else if (field === 'id' && !value.includes('\0')) idBuffer = value
    else if (field === 'retry' && /^[0-9]+$/.test(value)) retryMs = Number.parseInt(value, 10)
  }
  return { events, lastEventId, retryMs }
}

/** What runs a case needs of an `EventSource`. */
export interface AnyEventSource {
  readonly readyState: number
  addEventListener(type: string, listener: (event: MessageEvent) => void): void
  close(): void
}

/** Whatever a source dispatches until its stream ends, which is where it goes back to connecting. */
export function collect(source: AnyEventSource): Promise<Dispatched[]> {
  return new Promise((resolve) => {
    const events: Dispatched[] = []
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        if (typeof event.data === 'string') events.push([event.type, event.data, event.lastEventId])
        else if (type === 'error') {
          source.close()
          resolve(events)
        }
      })
    }
  })
}
