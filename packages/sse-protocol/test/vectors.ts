import { readFileSync } from 'node:fs'
import type { Frame } from '../src/index'

/** The language-neutral test vectors, as they lie in the package. */
interface Vectors {
  frames: {
    encode: ({ name: string; frame: Frame } & ({ text: string } | { error: string }))[]
    decode: {
      name: string
      text: string
      lf: boolean
      events: { event: string; data: string; lastEventId: string }[]
      lastEventId: string
      retry?: number
    }[]
  }
  events: {
    now: string
    publish: { name: string; input: object; type: string; data: string }[]
    refuse: { name: string; input: unknown; error: string }[]
    receive: { name: string; type: string; data: string; projectId: string; event: Record<string, unknown> }[]
    reject: { name: string; type: string; data: string; projectId: string; error: string }[]
  }
  channels: {
    names: { projectId: string; channel?: string; name: string }[]
    refuse: { projectId: unknown; channel?: unknown; error: string }[]
    none: string[]
    lists: { list: string; channels: string[] }[]
    refuseLists: string[]
  }
  patterns: {
    patterns: { pattern: string; event: { entity?: string; id?: string | null; ids?: string[] }; matches: boolean }[]
    refusePatterns: string[]
    types: { pattern: string; type: string; matches: boolean }[]
    refuseTypes: string[]
  }
  cursors: {
    cursors: { epoch: string; offset: number; text: string }[]
    none: string[]
    refuse: { epoch: unknown; offset: unknown }[]
  }
}

export function vectors<Name extends keyof Vectors>(name: Name): Vectors[Name] {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')) as Vectors[Name]
}

/** What `run` throws, by its stable code: `INVALID_TYPE`; nothing where it throws nothing. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? `no code: ${String(error)}`
  }
}
