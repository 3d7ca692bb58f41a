import { describe } from 'vitest'
import { HAS_REDIS, RedisServer } from '../../packages/sse-server/test/support/redis'
import { describeFleet } from './fleet-suite'

describe.runIf(HAS_REDIS)('a fleet', () => {
  describeFleet('Redis', {
    start: async () => {
      const server = await RedisServer.start()
      return {
        engine: 'redis',
        port: server.port,
        kill: () => server.kill(),
        restart: () => server.restart(),
        wipe: () => server.wipe(),
        end: () => server.end(),
      }
    },
    // Killed, it may have lost what pages have seen: the log is another one.
    killed: ['epoch'],
    wiped: ['epoch'],
    partitionMs: 60_000,
  })
})
