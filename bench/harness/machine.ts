import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { BENCH } from './load'

/** What the run was on: enough to judge it by, and nothing that names a host. */
export function machine(): string {
  const [cpu] = os.cpus()
  const memory = Math.round(os.totalmem() / 2 ** 30)
  const kernel = os.release().split('.').slice(0, 2).join('.')
  return `${os.availableParallelism()} × ${cpu?.model.trim() ?? 'CPU'}, ${memory} GiB, Linux ${kernel} ${os.arch()}, Node ${process.versions.node}, loopback`
}

/** The versions of the npm packages that take part. */
export function versions(): string {
  const require = createRequire(path.join(BENCH, 'package.json'))
  const { dependencies } = require('./package.json') as { dependencies: Record<string, string> }
  const peers = [
    'better-sse',
    '@nestjs/core',
    'express',
    'hono',
    '@hono/node-server',
    '@fastify/sse',
    'socket.io',
    '@socket.io/redis-adapter',
    '@socket.io/redis-streams-adapter',
    'ws',
    'redis',
    'pg',
    '@nats-io/transport-node',
  ]
  return peers.map((name) => `${name} ${dependencies[name]}`).join(', ')
}
