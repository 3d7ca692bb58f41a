import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Consumer, consumer, type Outcome } from './consumer'
import { hasChromium, type OpenPage, openPage } from './page'
import { programs } from './snippets'

/** A busy machine may need it. */
const WAIT = { timeout: 30_000 }

const DEPENDENCIES = {
  '@angular/core': '21.2.26',
  '@nats-io/transport-node': '3.4.0',
  '@nestjs/common': '12.5.1',
  '@nestjs/core': '12.5.1',
  '@nestjs/event-emitter': '12.0.1',
  '@nestjs/platform-express': '12.5.1',
  '@tanstack/query-core': '5.108.0',
  '@types/express': '5.0.6',
  '@types/node': '20.19.25',
  '@types/pg': '8.23.1',
  '@types/react': '19.2.7',
  '@types/react-dom': '19.2.3',
  express: '5.3.0',
  fastify: '5.12.8',
  ioredis: '6.0.0',
  pg: '8.23.1',
  react: '19.3.1',
  'react-dom': '19.3.1',
  redis: '6.3.1',
  'reflect-metadata': '0.2.2',
  rxjs: '7.8.2',
  'solid-js': '1.9.19',
  svelte: '5.57.3',
  typescript: '6.0.3',
  vue: '3.5.45',
  zod: '4.6.7',
}
const STRICT = {
  target: 'es2022',
  lib: ['es2023', 'dom', 'dom.iterable', 'esnext.disposable'],
  types: ['node'],
  jsx: 'react-jsx',
  strict: true,
  skipLibCheck: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  rootDir: 'programs',
}
/** Its parameters have no types in the design; nothing else is relaxed. */
const UNTYPED = ['design-nest.ts']
const IN_NODE = [
  'express-server',
  'nest-server',
  'design-nest',
  'mounts',
  'loading',
  'loading-many',
  'presence',
  'redis',
  'postgres',
  'nats',
  'cluster',
  'deployment',
  'conformance',
  'bindings',
  'event-source',
  'cursor-store',
  'cors',
  'recipes',
  'node-follow',
]
const IN_A_PAGE = ['client', 'design-client', 'react', 'design-react', 'tabs', 'indicator']

const CONFIGS = ['node16.json', 'node16-untyped.json', 'bundler.json']

let folder: Consumer
const compiled = new Map<string, Outcome>()

beforeAll(async () => {
  folder = await consumer('programs', DEPENDENCIES)
  for (const { file, text } of programs) folder.write(`programs/${file}`, text)
  const all = programs.map(({ file }) => `programs/${file}`)
  const untyped = all.filter((file) => UNTYPED.some((name) => file.endsWith(name)))
  const typed = all.filter((file) => !untyped.includes(file))
  const node16 = { ...STRICT, module: 'node16', moduleResolution: 'node16', outDir: 'out' }
  const bundler = { ...STRICT, module: 'esnext', moduleResolution: 'bundler', noEmit: true }
  folder.write('node16.json', JSON.stringify({ compilerOptions: node16, files: typed }))
  folder.write(
    'node16-untyped.json',
    JSON.stringify({ compilerOptions: { ...node16, noImplicitAny: false }, files: untyped }),
  )
  folder.write('bundler.json', JSON.stringify({ compilerOptions: bundler, files: typed }))
  for (const config of CONFIGS) compiled.set(config, await folder.tool('tsc', ['-p', config]))
})

describe("[docs] the design's and the README's programs, against the tarballs", () => {
  it('[docs] each program is one that is run below', () => {
    expect(programs.map(({ file }) => file.replace(/\.tsx?$/, '')).sort()).toEqual([...IN_NODE, ...IN_A_PAGE].sort())
  })

  it.each(['node16.json', 'node16-untyped.json', 'bundler.json'])(
    '[docs] they compile with TypeScript 6, strict: %s',
    async (config) => {
      expect(compiled.get(config)).toEqual({ code: 0, stdout: '', stderr: '' })
    },
  )

  it.each(IN_NODE)('[docs] %s runs, and ends by itself', async (program) => {
    expect(await folder.node([`out/${program}.js`])).toEqual({ code: 0, stdout: 'ran\n', stderr: '' })
  })
})

describe.skipIf(!hasChromium)('[docs] the programs for a page, in Chromium', () => {
  let open: OpenPage

  afterEach(() => open?.close())

  /** The program in its page, with its one stream open. */
  async function start(program: (typeof IN_A_PAGE)[number]): Promise<OpenPage> {
    open = await openPage(folder, program)
    await vi.waitFor(() => expect(open.connections()).toBe(1), { timeout: 30_000 })
    return open
  }

  it('[docs] client: rows follow, locks are shown, and what was taken off stays off', async () => {
    const { page, project, complaints } = await start('client')
    type Shown = { rows: object[]; lock: unknown; states: string[]; reloads: string[]; off(): void }
    const shown = () =>
      page.evaluate(() => JSON.parse(JSON.stringify((globalThis as unknown as { page: Shown }).page)) as Shown)
    await project.updated('document', 'doc_456', { embeddedChunks: 5 })
    await project.emit('lock:acquired', { entityId: 7 })
    await vi.waitFor(async () => expect((await shown()).lock).toEqual({ entityId: 7 }), WAIT)
    expect(await shown()).toMatchObject({
      rows: [{ id: 'doc_456', embeddedChunks: 5, chunks: 12 }],
      states: ['connecting', 'connected'],
      reloads: [],
    })
    await page.evaluate(() => (globalThis as unknown as { page: Shown }).page.off())
    await project.updated('document', 'doc_456', { embeddedChunks: 6 })
    await project.emit('lock:released', { entityId: 8 })
    await vi.waitFor(async () => expect((await shown()).lock).toEqual({ entityId: 8 }), WAIT)
    expect((await shown()).rows).toEqual([{ id: 'doc_456', embeddedChunks: 5, chunks: 12 }])
    expect(complaints).toEqual([])
  })

  it("[docs] the design's client: connect, close and an event applied to rows", async () => {
    const { page, project, complaints } = await start('design-client')
    type Got = { rows: object[]; state: string; seen?: unknown }
    const shown = () => page.evaluate(() => (globalThis as unknown as { page: { get(): Got } }).page.get())
    await project.updated('document', 'doc_1', { chunks: 1 })
    await vi.waitFor(
      async () =>
        expect(await shown()).toEqual({
          rows: [{ id: 'doc_456', embeddedChunks: 5 }],
          state: 'connected',
          seen: { chunks: 1 },
        }),
      WAIT,
    )
    expect(complaints).toEqual([])
  })

  it('[docs] tabs: a second tab follows the first, over its connection', async () => {
    const { page, project, complaints, connections } = await start('tabs')
    type Shown = { rows: object[]; role: string }
    const tabs = [page, await page.context().newPage()]
    await tabs[1]?.goto(page.url())
    const shown = () =>
      Promise.all(tabs.map((tab) => tab.evaluate(() => (globalThis as unknown as { page: Shown }).page)))
    await vi.waitFor(async () => expect((await shown()).map(({ role }) => role)).toEqual(['leader', 'follower']), WAIT)
    await project.updated('document', 'doc_456', { embeddedChunks: 5 })
    const rows = [{ id: 'doc_456', embeddedChunks: 5 }]
    await vi.waitFor(async () => expect((await shown()).map((one) => one.rows)).toEqual([rows, rows]), WAIT)
    expect(connections()).toBe(1)
    expect(complaints).toEqual([])
  })

  it('[docs] indicator: it says that it is live', async () => {
    const { page, complaints } = await start('indicator')
    await page
      .getByRole('status')
      .filter({ hasText: /^Live$/ })
      .waitFor()
    expect(complaints).toEqual([])
  })

  it.each(['react', 'design-react'])('[docs] %s: one stream in StrictMode, and the page follows', async (program) => {
    const { page, project, complaints, connections } = await start(program)
    const section = page.locator('section[data-state=connected]')
    await section.waitFor()
    if (program === 'design-react') await page.getByText('follow').click()
    await project.emit('report:ready', null, { channel: 'elsewhere' })
    await project.emit('report:ready', null, { channel: 'validation' })
    await project.updated('document', 'doc_456', { embeddedChunks: 5 })
    await page.getByText('doc_456: 5/12 embedded').waitFor()
    expect(await section.getAttribute('data-notes')).toBe('1')
    if (program === 'design-react') expect(await section.getAttribute('data-early')).toBe('entity.updated')
    expect(connections()).toBe(1)
    expect(complaints).toEqual([])
  })
})
