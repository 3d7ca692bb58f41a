import { Agent, request } from 'node:http'
import type { RunningServer } from './server'

/** Publishing over HTTP: a turn's events go out together on one connection and are answered before the next turn. */
export function poster(
  port: number,
  url: string,
  messageOf: (number: number) => { headers: Record<string, string>; body: string },
): Pick<RunningServer, 'allow' | 'pace'> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  let number = 0
  let turn = 0
  let allowed = 0
  let running = false
  const publish = () =>
    new Promise<void>((resolve, reject) => {
      const { headers, body } = messageOf(++number)
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          path: url,
          method: 'POST',
          agent,
          headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        },
        (answer) => {
          answer.resume()
          if ((answer.statusCode ?? 500) >= 300) reject(new Error(`publishing was answered ${answer.statusCode}`))
          else answer.on('end', resolve)
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  const run = async (events: number) => {
    running = true
    while (turn < allowed) {
      // One after the other: over several connections they could change places.
      for (let i = 0; i < events; i++) await publish()
      turn++
    }
    running = false
  }
  return {
    allow(turns, events) {
      allowed = turns
      if (!running) void run(events)
    },
    async pace(everyMs, count) {
      for (let i = 0; i < count; i++) {
        const next = new Promise((resolve) => setTimeout(resolve, everyMs))
        await publish()
        await next
      }
      return number
    },
  }
}
