import { type ChildProcess, fork, type SerializationType } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { IpcChannel } from '@entitycast/sse-server/cluster'
import { build } from 'esbuild'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const source = (path: string) => at(`../../src/${path}.ts`)

/** Programs of the tests, bundled from the sources so that plain Node runs them. */
export class Programs {
  private constructor(readonly folder: string) {}

  static async build(...names: string[]): Promise<Programs> {
    const folder = await mkdtemp(join(tmpdir(), 'entitycast-'))
    await build({
      entryPoints: names.map((name) => at(`${name}.ts`)),
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'error',
      alias: {
        '@entitycast/sse-protocol': at('../../../sse-protocol/src/index.ts'),
        '@entitycast/sse-server': source('index'),
        '@entitycast/sse-server/node': source('mounts/node'),
        '@entitycast/sse-server/cluster': source('adapters/cluster'),
      },
    })
    return new Programs(folder)
  }

  path(name: string): string {
    return join(this.folder, `${name}.mjs`)
  }

  end(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true })
  }
}

/** A process that holds a log for this one: the broker of these tests, and a real one. */
export class LogProcess {
  private constructor(readonly child: ChildProcess) {}

  static start(programs: Programs, serialization: SerializationType): LogProcess {
    return new LogProcess(fork(programs.path('cluster-primary'), { serialization }))
  }

  /** Begins another log, and forgets this one. */
  async fresh(): Promise<void> {
    const begun = new Promise<void>((resolve) => {
      const hear = (message: unknown) => {
        if (message !== 'begun') return
        this.child.off('message', hear)
        resolve()
      }
      this.child.on('message', hear)
    })
    this.child.send('fresh')
    await begun
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(name)
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exit = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exit
  }
}

const TAG = 'entitycast:log'
/** Where a message to a worker has its link, the count of live ones, the answers, and what is live. */
const [LINK, LIVE, ANSWERS, PAGES] = [1, 3, 4, 5] as const

/** An IPC channel whose live part can be held up. Answers pass: they are the log itself. */
export class HeldChannel implements IpcChannel {
  readonly #listeners = new Set<(message: unknown) => void>()
  readonly #links = new Set<string>()
  #hold: ((deliver: () => void | Promise<void>) => void | Promise<void>) | undefined

  constructor(readonly child: ChildProcess) {
    child.on('message', this.#hear)
  }

  send(...[message, , , callback]: Parameters<NonNullable<IpcChannel['send']>>): unknown {
    return this.child.send(message as object, callback)
  }

  on(event: 'message' | 'disconnect', listener: (message: unknown) => void): unknown {
    if (event === 'message') return this.#listeners.add(listener)
    return this.child.on(event, listener as () => void)
  }

  off(event: 'message' | 'disconnect', listener: (message: unknown) => void): unknown {
    if (event === 'message') return this.#listeners.delete(listener)
    return this.child.off(event, listener as () => void)
  }

  intercept(hold: (deliver: () => void | Promise<void>) => void | Promise<void>): void {
    this.#hold = hold
  }

  /** Tells every adapter something that none of them can use. */
  garbage(projectId: string): void {
    const links = [...this.#links]
    const ours = (fields: unknown) => ({ [TAG]: fields })
    for (const message of [
      undefined,
      null,
      7,
      'text',
      [],
      {},
      ours(null),
      ours({}),
      ours([]),
      ours([2, '', '', 0, [], []]),
      JSON.parse(`{"__proto__":${JSON.stringify(ours([1]))},"constructor":1}`),
      ...links.flatMap((link) => [
        ours([1, link]),
        ours([1, link, 'log', 'many', [], []]),
        ours([1, link, 'log', 1_000_000, [[1]], []]),
        ours([1, link, 'log', 1_000_000, [], [[projectId, ['', 'epoch', 0, [['too', 'short']]]]]]),
        ours([1, link, 'log', 1_000_000, [], [[projectId, ['', 'epoch', -0.5, []]]]]),
        ours([1, link, 'log', 1_000_000, [], [['__proto__', 7]]]),
      ]),
    ]) {
      for (const listener of [...this.#listeners]) listener(message)
    }
    for (const message of [
      'text',
      {},
      ours(null),
      ours([1]),
      ours([1, 'link', [1, 2, 3], [[1], [1, ['append', 'p']]]]),
    ]) {
      this.child.send(message)
    }
  }

  end(): void {
    this.child.off('message', this.#hear)
  }

  readonly #hear = (message: unknown): void => {
    const fields = (message as Record<string, unknown[]>)?.[TAG]
    if (fields) this.#links.add(String(fields[LINK]))
    const pages = fields?.[PAGES] as unknown[] | undefined
    if (!fields || !pages?.length || !this.#hold) {
      this.deliver(message)
      return
    }
    void this.#hold(() => this.deliver({ [TAG]: fields.with(ANSWERS, []) }))
    const answers = fields[ANSWERS] as unknown[]
    // They do not count what is held.
    if (answers.length > 0) this.deliver({ [TAG]: fields.with(PAGES, []).with(LIVE, 0) })
  }

  protected deliver(message: unknown): void {
    for (const listener of [...this.#listeners]) listener(message)
  }
}

/** What arrives is counted anew on the way: what was lost is not noticed. */
export class ForgetfulChannel extends HeldChannel {
  readonly #told = new Map<unknown, number>()

  protected override deliver(message: unknown): void {
    const fields = (message as Record<string, unknown[]>)?.[TAG]
    if (!fields) {
      super.deliver(message)
      return
    }
    const told = (this.#told.get(fields[LINK]) ?? 0) + ((fields[PAGES] as unknown[]).length > 0 ? 1 : 0)
    this.#told.set(fields[LINK], told)
    super.deliver({ [TAG]: fields.with(LIVE, told) })
  }
}
