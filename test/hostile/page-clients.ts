/** The clients that are for pages, and a handle for the program outside. */
import { fetchEventSource } from '@microsoft/fetch-event-source'

interface Seen {
  state: string
  told: Record<string, number>
}

const seen: Seen[] = []
Object.assign(globalThis, { run, seen })

function run(client: string, urls: string[]): void {
  for (const url of urls) {
    const one: Seen = { state: 'connecting', told: {} }
    seen.push(one)
    const tell = (what: string) => {
      one.told[what] = (one.told[what] ?? 0) + 1
    }
    if (client === 'fetch-event-source') runFetch(url, one, tell)
    else runNative(url, one, tell)
  }
}

function runNative(url: string, one: Seen, tell: (what: string) => void): void {
  const source = new EventSource(url)
  source.onerror = () => tell('error')
  Object.defineProperty(one, 'state', {
    enumerable: true,
    get: () => ['connecting', 'open', 'closed'][source.readyState],
  })
}

function runFetch(url: string, one: Seen, tell: (what: string) => void): void {
  // It shows no state: what there is of one is its promise.
  one.state = 'pending'
  const text = (error: unknown) => String(error).slice(0, 80)
  fetchEventSource(url, {
    openWhenHidden: true,
    onerror: (error) => tell(`onerror: ${text(error)}`),
    onclose: () => tell('onclose'),
  }).then(
    () => {
      one.state = 'ended'
    },
    (error) => {
      one.state = 'rejected'
      tell(`rejects: ${text(error)}`)
    },
  )
}
