import type { AdapterManifest } from '@entitycast/sse-server'
import { ClusterAdapter } from '@entitycast/sse-server/cluster'
import { type AdapterUnderTest, adapterChecks, describeAdapter } from '@entitycast/sse-server/conformance'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ForgetfulChannel, HeldChannel, LogProcess, Programs } from '../support/cluster'

const MANIFEST: AdapterManifest = {
  name: 'cluster',
  durability: 'broker-memory',
  shared: true,
  maxRecordBytes: 16_777_216,
}

const runner = { describe, it: (name: string, body: () => Promise<void>) => it(name, body, 120_000) }

let programs: Programs
beforeAll(async () => {
  programs = await Programs.build('cluster-primary')
})
afterAll(() => programs?.end())

for (const serialization of ['json', 'advanced'] as const) {
  describe(`with the serialization ${serialization}`, () => {
    let broker: LogProcess
    beforeAll(() => {
      broker = LogProcess.start(programs, serialization)
    })
    afterAll(() => broker?.end())
    describeAdapter(
      runner,
      subject(() => broker),
    )
  })
}

describe('an adapter that does not notice what it has missed', () => {
  let broker: LogProcess
  beforeAll(() => {
    broker = LogProcess.start(programs, 'json')
  })
  afterAll(() => broker?.end())

  it('[B2] is found', async () => {
    const found: string[] = []
    for (const { name, run } of adapterChecks(subject(() => broker, ForgetfulChannel, 1_000))) {
      if (name.startsWith('[B2]') && name.endsWith('2 instances')) await run().catch(() => found.push(name))
    }
    expect(found).toContainEqual(expect.stringContaining('a message that is lost with none after it'))
  })
})

/** The log is in a child here, and in the parent in life: the channel between them is the same. */
function subject(process: () => LogProcess, Channel = HeldChannel, patienceMs = 30_000): AdapterUnderTest {
  return {
    patienceMs,
    manifest: MANIFEST,
    // A primary that was killed takes the channel with it: nobody comes back to that one.
    harms: ['stop', 'restart', 'wipe'],
    intercepts: true,
    async begin(isHarmed) {
      const broker = process()
      await broker.fresh()
      const channel = new Channel(broker.child)
      return {
        create: () => new ClusterAdapter({ channel, timeoutMs: isHarmed ? 1_000 : 10_000, checkIntervalMs: 100 }),
        broker: {
          stop: async () => broker.signal('SIGSTOP'),
          restart: async () => broker.signal('SIGCONT'),
          wipe: () => broker.fresh(),
        },
        messages: {
          intercept: (hold) => channel.intercept(hold),
          garbage: async (projectId) => channel.garbage(projectId),
        },
        end() {
          broker.signal('SIGCONT')
          channel.end()
        },
      }
    },
  }
}
