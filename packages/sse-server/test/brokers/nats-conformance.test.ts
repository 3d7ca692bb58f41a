import type { AdapterManifest } from '@entitycast/sse-server'
import { type AdapterUnderTest, describeAdapter, type LogUnderTest } from '@entitycast/sse-server/conformance'
import { NatsAdapter } from '@entitycast/sse-server/nats'
import type { Msg, NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { HAS_NATS, NatsServer } from '../support/nats'

const MANIFEST: AdapterManifest = {
  name: 'nats',
  durability: 'broker-disk',
  shared: true,
  maxRecordBytes: 983_040,
}

const runner = { describe, it: (name: string, body: () => Promise<void>) => it(name, body, 120_000) }

describe.runIf(HAS_NATS)('a real NATS', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await NatsServer.start()
  })
  afterAll(() => server?.end())
  describeAdapter(
    runner,
    subject(() => server),
  )
})

type Hold = (deliver: () => void) => void | Promise<void>

let logs = 0

function subject(server: () => NatsServer): AdapterUnderTest {
  return {
    patienceMs: 30_000,
    manifest: MANIFEST,
    harms: ['stop', 'kill', 'restart', 'wipe'],
    intercepts: true,
    async begin(isHarmed): Promise<LogUnderTest> {
      const broker = server()
      const names = { stream: `LOG${++logs}`, subjectPrefix: `log${logs}` }
      let hold: Hold | undefined
      return {
        create: () =>
          new NatsAdapter({
            connect: async () => holding(await broker.connect(), `${names.subjectPrefix}.live.`, () => hold),
            ...names,
            timeoutMs: isHarmed ? 1_000 : 10_000,
            checkIntervalMs: 250,
          }),
        broker: {
          stop: () => broker.stop(),
          kill: () => broker.kill(),
          restart: () => broker.restart(),
          wipe: async () => void (await broker.ask(`STREAM.PURGE.${names.stream}`)),
        },
        messages: {
          intercept: (given) => {
            hold = given
          },
          garbage: async (projectId) => {
            const speaker = await broker.connect()
            for (const text of ['', '\u0000', '{"a":1}', '1 x 1 1 0 y 0 - -\n[]\n', '\n\n', 'x'.repeat(100_000)]) {
              speaker.publish(`${names.subjectPrefix}.live.${projectId}`, text)
            }
            await speaker.close()
          },
        },
        async end() {
          await broker.restart()
          await broker.ask(`STREAM.DELETE.${names.stream}`)
        },
      }
    },
  }
}

/** A connection whose live messages are given to `hold` while there is one. */
function holding(connection: NatsConnection, prefix: string, hold: () => Hold | undefined): NatsConnection {
  const subscribe = connection.subscribe.bind(connection)
  connection.subscribe = (name, options) => {
    const callback = options?.callback
    if (!callback || !name.startsWith(prefix)) return subscribe(name, options)
    return subscribe(name, {
      ...options,
      callback: (error: Error | null, message: Msg) => {
        const deliver = () => void callback(error, message)
        const held = hold()
        if (held) void held(deliver)
        else deliver()
      },
    })
  }
  return connection
}
