import {
  type EventHub,
  type EventStreamOptions,
  type Grant,
  type StreamRequest,
  type StreamResponse,
  serveStream,
} from '@entitycast/sse-server'
import { FrameCollector, type ReceivedFrame } from './frames'
import { RecordingSink } from './recording-sink'

export interface OpenOptions extends Partial<Omit<EventStreamOptions<undefined>, 'authorize'>> {
  lastEventId?: string | undefined
  channels?: readonly string[]
  method?: string
  path?: string
  ip?: string
  /** As `openStream` of a mount asks: the application has checked before. */
  isGranted?: boolean
  headers?: Readonly<Record<string, string>>
  sink?: RecordingSink
  authorize?: () => Grant | null | Promise<Grant | null>
}

/** A stream that was asked for, as the client sees it. */
export class TestStream implements StreamResponse {
  gone = false
  /** 0 while nothing was answered. */
  status = 0
  headers: Readonly<Record<string, string>> = {}
  /** Of an answer that is no stream. */
  body = ''
  /** Whether the stream has ended. */
  closed = false
  readonly collector = new FrameCollector()

  constructor(readonly sink: RecordingSink) {
    sink.attach({
      bytes: (text) => this.collector.feed(text),
      closed: () => {
        this.closed = true
      },
    })
  }

  answer(status: number, headers: Readonly<Record<string, string>>, body: string): void {
    if (this.gone) return
    if (this.status !== 0) throw new Error('answered twice')
    this.status = status
    this.headers = headers
    this.body = body
    this.closed = true
  }

  open(headers: Readonly<Record<string, string>>): RecordingSink {
    if (this.status !== 0) throw new Error('opened twice')
    this.status = 200
    this.headers = headers
    return this.sink
  }

  /** The client goes away. */
  leave(): void {
    this.gone = true
    this.sink.cut()
  }

  get frames(): ReceivedFrame[] {
    return this.collector.frames
  }

  get events(): ReceivedFrame[] {
    return this.collector.events
  }

  get types(): string[] {
    return this.collector.types
  }

  get lastEventId(): string | undefined {
    return this.collector.lastEventId
  }

  /** The first frame's data. */
  get connected(): {
    connectionId: string
    projectId: string
    resume: string
    heartbeatMs: number
    expiresInMs?: number
  } {
    const [first] = this.frames
    if (first?.type !== 'connected') throw new Error(`the first frame is ${first?.type}`)
    return first.data
  }

  get resyncs(): string[] {
    return this.collector.of('resync').map(({ data }) => data.reason)
  }

  get closing(): string | undefined {
    return this.collector.of('closing').at(-1)?.data.reason
  }

  /** The code of a refusal. */
  get code(): string | undefined {
    return this.body === '' ? undefined : JSON.parse(this.body).error.code
  }
}

/** Asks for a stream. Resolves when it is open or refused. */
export async function open(hub: EventHub, grant: Grant | null, options: OpenOptions = {}): Promise<TestStream> {
  const { stream, done } = ask(hub, grant, options)
  await done
  return stream
}

/** The same without waiting: for what happens between the question and the answer. */
export function ask(
  hub: EventHub,
  grant: Grant | null,
  options: OpenOptions = {},
): { stream: TestStream; done: Promise<void> } {
  const {
    lastEventId,
    channels,
    method = 'GET',
    path,
    ip,
    isGranted,
    headers = {},
    sink = new RecordingSink(),
    ...rest
  } = options
  const stream = new TestStream(sink)
  const query = channels ? `?channels=${encodeURIComponent(channels.join(','))}` : ''
  const sent: Record<string, string> = { accept: 'text/event-stream', ...headers }
  if (lastEventId !== undefined) sent['last-event-id'] = lastEventId
  const request: StreamRequest = {
    method,
    url: path ?? `/api/events/stream${query}`,
    header: (name) => sent[name],
    ip,
    isGranted,
  }
  return { stream, done: serveStream(hub, { authorize: () => grant, ...rest }, undefined, request, stream) }
}
