import { describe, expect, it } from 'vitest'
import { prepareStream, streamConfig } from '../../src/adapters/nats-stream'
import type { Wire } from '../../src/adapters/nats-wire'

const needs = {
  stream: 'ENTITYCAST',
  subjectPrefix: 'entitycast',
  replicas: 1,
  retention: { ageMs: 300_000, events: 1_000, bytes: 1_048_576 },
}

/** A server that has this stream. */
function having(config: object): Wire {
  return { maxPayload: 1_048_576, isReplicated: false, api: async () => ({ config }) } as unknown as Wire
}

describe('a stream of NATS, also of a server that is newer than the one that is tested with', () => {
  const right = streamConfig(needs)
  const told = (more: object) =>
    prepareStream(having({ ...right, ...more }), needs, Number.NEGATIVE_INFINITY).then(
      () => 'fine',
      ({ code, message }) => `${code}: ${message}`,
    )

  it.each([
    [{ sources: [{ name: 'OTHER' }] }, 'it takes messages from other streams (sources)'],
    [
      { subject_transform: { src: 'entitycast.log.*', dest: 'kept.{{wildcard(1)}}' } },
      'subject_transform is {"src":"entitycast.log.*","dest":"kept.{{wildcard(1)}}"}, and must be absent',
    ],
    [{ persist_mode: 'async' }, 'persist_mode is "async", and must be "default"'],
    [{ sealed: true }, 'it is sealed'],
    [{ mirror: { name: 'OTHER' } }, 'it is a mirror'],
    [{ no_ack: true }, 'no_ack is true, and must be false'],
    [
      { republish: { ...right.republish, headers_only: true } },
      'republish is {"src":"entitycast.log.*","dest":"entitycast.live.{{wildcard(1)}}","headers_only":true}, and must be {"src"',
    ],
  ])('[B4] with %o is refused by name', async (wrong, why) => {
    expect(await told(wrong)).toContain(`STREAM_UNSUITABLE: The stream ENTITYCAST would break what is promised: ${why}`)
  })

  it.each([
    {},
    { sources: [], mirror: null, subject_transform: null, persist_mode: 'default' },
    { deny_delete: true, deny_purge: true, allow_direct: true, allow_rollup_hdrs: true },
    { compression: 's2', first_seq: 1_000, metadata: { team: 'events' }, allow_msg_ttl: true },
  ])('[B4] with %o serves', async (more) => {
    expect(await told(more)).toBe('fine')
  })
})
