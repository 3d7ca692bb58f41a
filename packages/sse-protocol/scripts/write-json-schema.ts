import { mkdirSync, writeFileSync } from 'node:fs'
import { type JsonSchema, toJsonSchema } from '@valibot/to-json-schema'
import type { GenericSchema } from 'valibot'
import { ControlEventSchemas, EntityEventSchema, NamedEventSchema } from '../src/index'

/** Writes `schema/*.json`: the schemas of the protocol for languages other than ours. Checks that JSON Schema cannot say (bytes of an id) are left out. */
const target = new URL('../schema/', import.meta.url)
mkdirSync(target, { recursive: true })

const schemas: Record<string, GenericSchema> = {
  'entity-event': EntityEventSchema,
  'named-event': NamedEventSchema,
  ...ControlEventSchemas,
}
for (const [name, schema] of Object.entries(schemas)) {
  const json: JsonSchema = { title: name, ...toJsonSchema(schema, { errorMode: 'ignore' }) }
  writeFileSync(new URL(`${name}.json`, target), `${JSON.stringify(json, null, 2)}\n`)
}
