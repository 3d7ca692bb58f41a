import path from 'node:path'
import { type Consumer, consumer, type Outcome } from './consumer'

/** The compilers that users have; 7 is the one that is written in Go. */
const COMPILERS = {
  'typescript-5.4': '5.4.5',
  'typescript-5.9': '5.9.3',
  'typescript-6.0': '6.0.3',
  'typescript-7.0': '7.0.2',
}
const DEPENDENCIES = {
  ...Object.fromEntries(Object.entries(COMPILERS).map(([name, version]) => [name, `npm:typescript@${version}`])),
  '@nestjs/common': '11.2.10',
  '@nestjs/core': '11.2.10',
  '@tanstack/query-core': '5.108.0',
  '@types/express': '5.0.6',
  '@types/node': '20.19.25',
  '@types/react': '19.2.7',
  express: '5.3.0',
  fastify: '5.12.8',
  react: '19.3.1',
  'reflect-metadata': '0.2.2',
  rxjs: '7.8.2',
  zod: '4.6.7',
}

/** As strict as users are, where they have no library beyond this one. */
const STRICT = {
  target: 'es2022',
  module: 'node16',
  lib: ['es2022', 'dom', 'dom.iterable'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
}

/** The names of the compilers in {@link typescript}. */
export const compilers = Object.keys(COMPILERS)

/** What a compiler leaves behind where nothing is wrong. */
export const CLEAN: Outcome = { code: 0, stdout: '', stderr: '' }

/** A consumer with all compilers, and with the peers of what is compiled: one for all tests that ask for it. */
export const typescript = () => consumer('typescript', DEPENDENCIES)

/** Compiles files of a consumer, which need not have a compiler itself. */
export async function compile(
  compiler: string,
  { write, node }: Consumer,
  files: string[],
  compilerOptions: object = {},
): Promise<Outcome> {
  const { folder } = await typescript()
  write('tsconfig.json', JSON.stringify({ compilerOptions: { ...STRICT, ...compilerOptions }, files }))
  return node([path.join(folder, 'node_modules', compiler, 'bin/tsc'), '-p', '.'], { timeoutMs: 120_000 })
}
