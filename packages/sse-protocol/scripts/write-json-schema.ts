import { mkdirSync, writeFileSync } from 'node:fs'
import { jsonSchemas } from './json-schemas'

/** Writes `schema/*.json`, as a part of the build. */
const target = new URL('../schema/', import.meta.url)
mkdirSync(target, { recursive: true })
for (const [name, schema] of Object.entries(jsonSchemas())) {
  writeFileSync(new URL(`${name}.json`, target), `${JSON.stringify(schema, null, 2)}\n`)
}
