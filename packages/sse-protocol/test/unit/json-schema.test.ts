import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { safeParse } from 'valibot'
import { describe, expect, it } from 'vitest'
import { jsonSchemas } from '../../scripts/json-schemas'
import { ControlEventSchemas, EntityEventSchema, NamedEventSchema } from '../../src/index'
import { vectors } from '../vectors'

const schemas = jsonSchemas()
const ajv = new Ajv({ strict: true })
addFormats.default(ajv)
const validators = Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, ajv.compile(schema)]))
const { now, publish, refuse, receive } = vectors('events')

/** The schema that an event of this type is held to. */
const nameFor = (type: unknown) => (String(type).startsWith('entity.') ? 'entity-event' : 'named-event')
const valibotFor = (name: string) => (name === 'entity-event' ? EntityEventSchema : NamedEventSchema)

/** The event that a handler would see, where nothing refused it. */
function seen(input: Record<string, unknown>): Record<string, unknown> {
  const { extra: _, ...event }: Record<string, unknown> = { timestamp: now, ...input }
  if (event.type === 'entity.batch') event.id ??= null
  if (nameFor(event.type) === 'named-event') event.data ??= null
  return event
}

/** What JSON Schema cannot say, so that it accepts these: bytes, halves of a pair, a time without leap seconds, and no field that is not named. */
const BEYOND_JSON_SCHEMA = [
  /surrogate/,
  /pair the wrong way/,
  /characters of \d+ bytes/,
  /^a timestamp that (?:has a small z|has a space|is a leap second)$/,
  /^a batch with (?:a version|fewer versions than ids|more versions than ids)$/,
  /^an update with (?:ids|versions)$/,
  /^a named event with/,
]
/** What valibot's schemas leave out in silence, as they do any field that they do not know. */
const UNKNOWN_FIELDS = /^(?:a batch with a version|an update with ids|an update with versions|a named event with .*)$/

describe('[N1 N2 N3 N8] JSON Schema and valibot accept what handlers see', () => {
  for (const { name, input } of publish) {
    it(`published: ${name}`, () => accepted(seen(input as Record<string, unknown>)))
  }
  for (const { name, event } of receive) it(`received: ${name}`, () => accepted(event))

  function accepted(event: Record<string, unknown>): void {
    const schema = nameFor(event.type)
    expect(validators[schema]?.(event), JSON.stringify(validators[schema]?.errors)).toBe(true)
    const parsed = safeParse(valibotFor(schema), event)
    expect(parsed.issues).toBeUndefined()
    expect(JSON.stringify(parsed.output)).toHaveLength(JSON.stringify(event).length)
  }
})

describe('[N1 N2 N3 N8] and refuse what may not be published', () => {
  for (const { name, input } of refuse) {
    const event = typeof input === 'object' && input !== null && !Array.isArray(input) ? seen({ ...input }) : input
    const schema = nameFor((event as { type?: unknown } | null)?.type)
    const sayable = !BEYOND_JSON_SCHEMA.some((beyond) => beyond.test(name))
    it(`${name}${sayable ? '' : ' (JSON Schema cannot say this one)'}`, () => {
      expect(validators[schema]?.(event)).toBe(!sayable)
      expect(safeParse(valibotFor(schema), event).success).toBe(UNKNOWN_FIELDS.test(name))
    })
  }
})

describe('the data of control events', () => {
  const good = {
    connected: [
      { connectionId: 'conn_1', projectId: 'p1', resume: 'live', heartbeatMs: 15_000 },
      { connectionId: 'conn_1', projectId: 'p1', resume: 'live', heartbeatMs: 0, expiresInMs: 900_000 },
    ],
    heartbeat: [{ timestamp: now }],
    resync: ['expired', 'epoch', 'ahead', 'bad-cursor', 'overflow', 'broker-gap'].map((reason) => ({ reason })),
    closing: ['expired', 'revoked', 'shutdown', 'replaced', 'rotated', 'slow'].map((reason) => ({ reason })),
  }
  const bad = {
    connected: [
      {},
      { ...good.connected[0], resume: 'maybe' },
      { ...good.connected[0], heartbeatMs: -1 },
      { ...good.connected[0], expiresInMs: 0.5 },
      { ...good.connected[0], projectId: '' },
    ],
    heartbeat: [{}, { timestamp: 'now' }],
    resync: [{}, { reason: 'because' }, { reason: null }],
    closing: [{}, { reason: 'overflow' }],
  }
  for (const type of Object.keys(ControlEventSchemas) as (keyof typeof good)[]) {
    it(`${type}: both schemas accept and refuse alike`, () => {
      for (const data of good[type]) {
        expect(validators[type]?.(data), JSON.stringify(data)).toBe(true)
        expect(safeParse(ControlEventSchemas[type], data).success, JSON.stringify(data)).toBe(true)
      }
      for (const data of bad[type]) {
        expect(validators[type]?.(data), JSON.stringify(data)).toBe(false)
        expect(safeParse(ControlEventSchemas[type], data).success, JSON.stringify(data)).toBe(false)
      }
    })
  }
})

it('each schema has a title, names its dialect, and is plain JSON', () => {
  expect(Object.keys(schemas).sort()).toEqual([
    'closing',
    'connected',
    'entity-event',
    'heartbeat',
    'named-event',
    'resync',
  ])
  for (const [name, schema] of Object.entries(schemas)) {
    expect(schema).toMatchObject({ title: name, $schema: 'http://json-schema.org/draft-07/schema#' })
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
  }
})
