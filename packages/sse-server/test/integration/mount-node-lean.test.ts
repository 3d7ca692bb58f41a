import { createServer } from 'node:http'
import { eventStats, eventStream, leanStreams } from '@entitycast/sse-server/node'
import { listening } from './listening'
import { mountSuite } from './mount-suite'

mountSuite({
  name: 'node with leanStreams',
  methods: ['HEAD', 'OPTIONS', 'POST', 'TRACE'],
  refuses: 'mount',
  serve: (hub, { authorize, ...options }) => {
    const stream = eventStream(hub, {
      ...options,
      authorize: (req) => authorize((name) => req.headers[name]?.toString()),
    })
    const stats = eventStats(hub)
    const server = createServer((req, res) => (req.url === '/stats' ? stats : stream)(req, res))
    leanStreams(server)
    return listening(server)
  },
})
