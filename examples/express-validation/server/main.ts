import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createApp } from './app.js'
import { readConfig } from './config.js'

const config = readConfig(process.env)
const app = await createApp(config)
const server = createServer(app.express)

server.listen(config.port, config.host, () => {
  const { address, port } = server.address() as AddressInfo
  console.log(`Validation board: http://${address.includes(':') ? `[${address}]` : address}:${port}`)
})

let stopping = false
async function stop(signal: string): Promise<void> {
  if (stopping) return
  stopping = true
  console.log(`${signal}: closing`)
  // First the door, then the streams: a browser's own EventSource retries a refused connection, but gives up after a 503.
  const closed = new Promise((resolve) => server.close(resolve))
  await app.endStreams()
  server.closeIdleConnections()
  await closed
  app.close()
  // No process.exit(): that nothing is left is what makes the process end.
  console.log('closed')
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal))
