import { type JsonSchema, toJsonSchema } from '@valibot/to-json-schema'
import type { GenericSchema } from 'valibot'
import { ControlEventSchemas, EntityEventSchema, NamedEventSchema } from '../src/index'

/**
 * The schemas of the protocol for languages other than ours, by file name.
 * What JSON Schema cannot say (bytes of an id, halves of a surrogate pair) is left out: it accepts a little more than we do, never less.
 */
export function jsonSchemas(): Record<string, JsonSchema> {
  const schemas: Record<string, GenericSchema> = {
    'entity-event': EntityEventSchema,
    'named-event': NamedEventSchema,
    ...ControlEventSchemas,
  }
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      { title: name, ...toJsonSchema(schema, { errorMode: 'ignore' }) },
    ]),
  )
}
