import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { consumer } from './consumer'

const source = readFileSync(fileURLToPath(new URL('nest/app.ts', import.meta.url)), 'utf8')
const COMMON = {
  rxjs: '7.8.2',
  'reflect-metadata': '0.2.2',
  typescript: '6.0.3',
  '@types/node': '20.19.25',
  '@types/express': '5.0.6',
}
const VERSIONS = {
  11: {
    '@nestjs/common': '11.2.10',
    '@nestjs/core': '11.2.10',
    '@nestjs/platform-express': '11.2.10',
    '@nestjs/platform-fastify': '11.2.8',
    '@nestjs/event-emitter': '3.1.0',
  },
  12: {
    '@nestjs/common': '12.5.1',
    '@nestjs/core': '12.5.1',
    '@nestjs/platform-express': '12.5.1',
    '@nestjs/platform-fastify': '12.5.0',
    '@nestjs/event-emitter': '12.0.1',
  },
}
const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    module: 'node16',
    moduleResolution: 'node16',
    strict: true,
    skipLibCheck: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    types: ['node'],
    outDir: 'out',
    rootDir: '.',
  },
  files: ['app.ts'],
}

describe.each([11, 12] as const)('[packed] Nest %i', (version) => {
  it('[packed] the application compiles, strict', async () => {
    const folder = await consumer(`nest-${version}`, { ...COMMON, ...VERSIONS[version] })
    folder.write('app.ts', source)
    folder.write('tsconfig.json', JSON.stringify(TSCONFIG))
    expect(await folder.tool('tsc', ['-p', '.'])).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it.each(['express', 'fastify'])(
    '[packed] on %s: the guard decides, EventEmitter2 reaches the stream, the other project stays dry, and app.close() returns with streams open',
    async (platform) => {
      const folder = await consumer(`nest-${version}`, { ...COMMON, ...VERSIONS[version] })
      const app = spawn(process.execPath, ['out/app.js', platform], {
        cwd: folder.folder,
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      try {
        const url = await listening(app)
        expect((await fetch(`${url}/api/events/stream`)).status).toBe(401)

        const mine = await open(url, 'ann@proj_1')
        const other = await open(url, 'bob@proj_2')
        for (const [project, id] of [
          ['proj_1', 'doc_1'],
          ['proj_2', 'sentinel'],
        ] as const) {
          const changed = await fetch(`${url}/api/documents/${project}/${id}`, { method: 'POST' })
          expect(await changed.json()).toEqual({ emitted: true })
        }
        expect(await mine.until('doc_1')).toContain('event: entity.updated')
        expect(await other.until('sentinel')).not.toContain('doc_1')

        const rest = text(app.stdout)
        app.stdin.end()
        expect(await mine.end()).toContain('event: closing')
        expect(await other.end()).toContain('{"reason":"shutdown"}')
        const said = await rest
        expect(said).toContain('open 2')
        // Streams that nobody closes would hold it for ever; what it may take is what a busy machine needs.
        expect(Number(/closed (\d+)/.exec(said)?.[1])).toBeLessThan(10_000)
        expect(await ended(app)).toBe(0)
      } finally {
        app.kill('SIGKILL')
      }
    },
  )
})

type App = ChildProcessByStdio<Writable, Readable, null>

async function listening(app: App): Promise<string> {
  let said = ''
  for await (const chunk of app.stdout.iterator({ destroyOnReturn: false })) {
    said += chunk
    const match = /listening (\S+)\n/.exec(said)
    if (match?.[1]) return match[1]
  }
  throw new Error(`the application ended: ${said}`)
}

function ended(app: App): Promise<number | null> {
  return new Promise((resolve) => (app.exitCode === null ? app.once('exit', resolve) : resolve(app.exitCode)))
}

/** A stream that has said `connected`. */
async function open(url: string, token: string) {
  const response = await fetch(`${url}/api/events/stream`, { headers: { authorization: `Bearer ${token}` } })
  expect(response.status).toBe(200)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let seen = ''
  const until = async (part: string) => {
    while (!seen.includes(part)) {
      const { done, value } = await reader.read()
      if (done) throw new Error(`the stream ended without ${part}: ${seen}`)
      seen += value
    }
    return seen
  }
  const end = async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) seen += next.value
    return seen
  }
  await until('event: connected')
  return { until, end }
}
