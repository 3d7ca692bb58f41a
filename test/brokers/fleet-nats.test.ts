import { describe } from 'vitest'
import { HAS_NATS, NatsServer } from '../../packages/sse-server/test/support/nats'
import { describeFleet } from './fleet-suite'

describe.runIf(HAS_NATS)('a fleet', () => {
  describeFleet('NATS', {
    start: async () => {
      const server = await NatsServer.start()
      return {
        engine: 'nats',
        port: server.port,
        kill: () => server.kill(),
        restart: () => server.restart(),
        wipe: async () => void (await server.ask('STREAM.PURGE.ENTITYCAST')),
        end: () => server.end(),
      }
    },
    // What was accepted is on its disk.
    killed: [],
    wiped: ['epoch'],
    partitionMs: 60_000,
  })
})
