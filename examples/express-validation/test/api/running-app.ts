import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, createApp } from '../../server/app'
import { readConfig } from '../../server/config'
import type { ApiErrorBody, Bootstrap } from '../../shared/api'

/** The app on a free port, with a database of its own. */
export interface RunningApp {
  url: string
  app: App
  close(): Promise<void>
}

export async function startApp(env: Record<string, string> = {}): Promise<RunningApp> {
  const dataDir = await mkdtemp(join(tmpdir(), 'validation-'))
  const app = await createApp(readConfig({ DATA_DIR: dataDir, DRAIN_MS: '0', REMINDER_INTERVAL_MS: '0', ...env }))
  const server = createServer(app.express)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    app,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      await app.endStreams()
      server.closeAllConnections()
      await closed
      app.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export interface Answer<Body> {
  status: number
  body: Body
  setCookie: string | null
}

/** Somebody with a cookie, or without. */
export class Visitor {
  cookie = ''

  constructor(readonly url: string) {}

  static async signedIn(url: string, userId: string): Promise<Visitor> {
    const visitor = new Visitor(url)
    const { setCookie } = await visitor.ask('POST', '/api/login', { userId, password: 'demo' })
    visitor.cookie = setCookie?.split(';')[0] ?? ''
    return visitor
  }

  async ask<Body = ApiErrorBody>(method: string, path: string, body?: object): Promise<Answer<Body>> {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(this.cookie && { cookie: this.cookie }), ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      body: (text ? JSON.parse(text) : undefined) as Body,
      setCookie: response.headers.get('set-cookie'),
    }
  }

  bootstrap = async (): Promise<Bootstrap> => (await this.ask<Bootstrap>('GET', '/api/bootstrap')).body
}
