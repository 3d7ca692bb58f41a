import { once } from 'node:events'
import { createServer, type Server } from 'node:http'

/** A server of Node over a function of the Fetch API, so that the fetch mount is tested on real sockets. */
export function fetchServer(handle: (request: Request) => Response | Promise<Response>): Server {
  return createServer(async (req, res) => {
    const left = new AbortController()
    res.on('close', () => left.abort())
    const headers = Object.entries(req.headers).map(([name, value]): [string, string] => [name, String(value)])
    const request = new Request(new URL(req.url ?? '/', 'http://localhost'), {
      method: req.method ?? 'GET',
      headers,
      signal: left.signal,
    })
    const response = await handle(request)
    res.writeHead(response.status, Object.fromEntries(response.headers))
    res.flushHeaders()
    try {
      for await (const chunk of response.body ?? []) {
        if (left.signal.aborted) break
        if (!res.write(chunk)) await once(res, 'drain', { signal: left.signal })
      }
      res.end()
    } catch {
      res.destroy()
    }
  })
}
