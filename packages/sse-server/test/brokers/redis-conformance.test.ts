import type { AdapterManifest } from '@entitycast/sse-server'
import { type AdapterUnderTest, describeAdapter, type LogUnderTest } from '@entitycast/sse-server/conformance'
import { RedisAdapter } from '@entitycast/sse-server/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type ClientName, clients, HAS_REDIS, RedisServer, withHeldMessages } from '../support/redis'

const MANIFEST: AdapterManifest = {
  name: 'redis',
  durability: 'broker-memory',
  shared: true,
  maxRecordBytes: 16_777_216,
}

const runner = { describe, it: (name: string, body: () => Promise<void>) => it(name, body, 120_000) }

for (const [name, durable] of [
  ['node-redis', false],
  ['ioredis', true],
] as const) {
  describe.runIf(HAS_REDIS)(`with ${name}, ${durable ? 'durable' : 'in memory'}`, () => {
    let server: RedisServer
    beforeAll(async () => {
      server = await RedisServer.start(...(durable ? ['--appendonly', 'yes', '--appendfsync', 'always'] : []))
    })
    afterAll(() => server?.end())
    describeAdapter(
      runner,
      subject(name, durable, () => server),
    )
  })
}

let logs = 0

function subject(name: ClientName, durable: boolean, server: () => RedisServer): AdapterUnderTest {
  return {
    patienceMs: 30_000,
    manifest: durable ? { ...MANIFEST, durability: 'broker-disk' } : MANIFEST,
    harms: ['stop', 'kill', 'restart', 'wipe'],
    intercepts: true,
    async begin(isHarmed): Promise<LogUnderTest> {
      const keyPrefix = `log-${++logs}:`
      const broker = server()
      const helpers: Redis[] = []
      let hold: ((deliver: () => Promise<void>) => void | Promise<void>) | undefined
      const helper = () => {
        const one = new Redis({ port: broker.port, host: '127.0.0.1' })
        helpers.push(one)
        return one
      }
      return {
        create: () => {
          const client = withHeldMessages(clients[name](broker.port), () => hold !== undefined)
          const options = { keyPrefix, durable, timeoutMs: isHarmed ? 1_000 : 10_000, checkIntervalMs: 250 }
          return new RedisAdapter(client, options)
        },
        broker: {
          stop: () => broker.stop(),
          kill: () => broker.kill(),
          restart: () => broker.restart(),
          wipe: () => broker.wipe(),
        },
        messages: {
          intercept: async (given) => {
            const isFirst = hold === undefined
            if (isFirst) {
              const [ear, mouth] = [helper(), helper()]
              ear.on('pmessage', (_, channel: string, text: string) => {
                // The last answers may come after everything has been let go.
                void hold?.(async () => void (await mouth.publish(channel.slice('held:'.length), text).catch(() => {})))
              })
              await ear.psubscribe(`held:${keyPrefix}*`)
            }
            hold = given
          },
          garbage: async (projectId) => {
            const channel = `${keyPrefix}{events.${projectId}}@0`
            const speaker = helper()
            for (const text of [
              '',
              '\u0000',
              '{"a":1}',
              'x 1 1 - y\n[]',
              '__proto__ 1 1 a b\n[[1,2,3,4,5]]',
              'x'.repeat(100_000),
            ]) {
              await speaker.publish(channel, text)
            }
          },
        },
        async end() {
          for (const one of helpers) one.disconnect()
          await broker.restart()
        },
      }
    },
  }
}
