import { describe, expect, it } from 'vitest'
import { consumer } from './consumer'

/** The newest of which every one of these packages was found. */
const ANGULAR = '21.2.24'
const DEPENDENCIES = {
  ...Object.fromEntries(
    ['common', 'compiler', 'compiler-cli', 'core', 'platform-browser', 'platform-server'].map((name) => [
      `@angular/${name}`,
      ANGULAR,
    ]),
  ),
  rxjs: '7.8.2',
  typescript: '5.9.3',
}

/** An application whose templates are compiled ahead of time, rendered as on a server. */
const APP = `
import '@angular/compiler'
import { ChangeDetectionStrategy, Component, inject, signal } from '@angular/core'
import { bootstrapApplication, type BootstrapContext } from '@angular/platform-browser'
import { provideServerRendering, renderApplication } from '@angular/platform-server'
import { applyEntityEvent, EventSubscriber } from '@entitycast/sse-client'
import { Entitycast, injectEntityUpdates, provideEntitycast } from '@entitycast/sse-client/angular'
import { createFakeServer } from '@entitycast/sse-client/testing'

const server = createFakeServer()
const subscriber = server.subscriber()
await server.connect(subscriber)

@Component({
  selector: 'app-root',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: '<p>{{ live() }}</p>@for (row of rows(); track row.id) {<b>{{ row.chunks.toFixed(1) }}</b>}',
})
class App {
  readonly live = inject(Entitycast).connectionState
  readonly rows = signal([{ id: 'doc_1', chunks: 1 }])
  constructor() {
    injectEntityUpdates('document:*', (event) => this.rows.update((rows) => applyEntityEvent(rows, event)))
    void server.push({ type: 'entity.updated', entity: 'document', id: 'doc_1', data: { chunks: 2 } })
  }
}

const render = (options: Parameters<typeof provideEntitycast>[0]) =>
  renderApplication(
    (context: BootstrapContext) =>
      bootstrapApplication(App, { providers: [provideServerRendering(), provideEntitycast(options)] }, context),
    { document: '<app-root></app-root>', url: 'http://127.0.0.1/', allowedHosts: ['127.0.0.1'] },
  )

const given = await render({ subscriber })
if (!given.includes('<p>connected</p>') || !given.includes('<b>2.0</b>')) throw new Error(given)
const own = await render({ url: 'http://127.0.0.1/stream', fetch: server.fetch })
if (!own.includes('<p>disconnected</p>')) throw new Error(own)
if (server.requests.length !== 1 || !(subscriber instanceof EventSubscriber)) throw new Error('another request')
server.close()
console.log('rendered')
`

const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2023', 'dom', 'dom.iterable'],
    types: [],
    strict: true,
    skipLibCheck: true,
    experimentalDecorators: true,
    outDir: 'out',
    rootDir: '.',
  },
  angularCompilerOptions: { strictTemplates: true, strictInjectionParameters: true, compilationMode: 'full' },
  files: ['app.ts'],
}

describe('[packed] Angular 21', () => {
  it('[packed] an application compiles ahead of time, strict, and shows the state and the rows that follow', async () => {
    const folder = await consumer('angular-app', DEPENDENCIES)
    folder.write('app.ts', APP)
    folder.write('tsconfig.json', JSON.stringify(TSCONFIG))
    expect(await folder.tool('ngc', ['-p', '.'])).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await folder.node(['out/app.js'])).toMatchObject({ code: 0, stdout: expect.stringContaining('rendered') })
  })
})
