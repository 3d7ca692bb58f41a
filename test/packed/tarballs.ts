import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

export const PACKAGES = ['sse-protocol', 'sse-server', 'sse-client'] as const
export type PackageName = (typeof PACKAGES)[number]

declare module 'vitest' {
  export interface ProvidedContext {
    /** A temporary folder, gone after the run: the tarballs, and a folder for each consumer. */
    packedFolder: string
    /** The tarball of each package. */
    tarballs: Record<PackageName, string>
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

/** Builds the packages and packs them as a release would: what these tests install is what users get. */
export async function setup(project: TestProject): Promise<() => void> {
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' }
  await run(path.join(root, 'node_modules/.bin/turbo'), ['run', 'build', '--filter=./packages/*'], {
    cwd: root,
    env,
  }).catch((error) => {
    throw new Error(`the packages do not build:\n${error.stdout}`)
  })
  const folder = mkdtempSync(path.join(tmpdir(), 'entitycast-packed-'))
  const workspaces = PACKAGES.flatMap((name) => ['-w', `@entitycast/${name}`])
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder, ...workspaces], {
    cwd: root,
    env,
  })
  const packed: { name: string; filename: string }[] = JSON.parse(stdout)
  const tarballs = Object.fromEntries(
    PACKAGES.map((name) => [
      name,
      path.join(folder, packed.find((one) => one.name === `@entitycast/${name}`)!.filename),
    ]),
  ) as Record<PackageName, string>
  project.provide('packedFolder', folder)
  project.provide('tarballs', tarballs)
  return () => rmSync(folder, { recursive: true, force: true })
}
