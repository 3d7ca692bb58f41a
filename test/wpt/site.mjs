import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import path from 'node:path'
import { answer, handlers, queryOf, redirect } from './handlers.mjs'

/**
 * Serves the tests of a folder of the web platform tests, each as a page, and as a worker.
 *
 * @param {string} folder @param {string} ours the script that puts our class in the place of the platform's
 */
export async function openSite(folder, ours) {
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://site')
    const query = queryOf(search)
    const isOurs = /\bimpl=ours\b/.test(`${request.headers.cookie}${search}`)
    const own = pathname.match(/^\/eventsource\/resources\/([\w-]+)\.py$/)?.[1] ?? ''
    const test = pathname.match(/^\/(eventsource\/.+\.(?:any|window))(\.worker)?\.(html|js)$/)
    const send = (/** @type {string} */ type, /** @type {string} */ body) =>
      void response.setHeader('Content-Type', `text/${type}; charset=utf-8`).end(body)
    const put = isOurs ? '<script src="/ours.js"></script>' : ''

    if (handlers[own]) handlers[own](request, response, query)
    else if (pathname === '/common/redirect.py') redirect(response, query)
    else if (pathname.endsWith('cache-control.event_stream'))
      answer(response, `data: ${request.headers['cache-control'] ?? ''}\n\n`)
    else if (pathname.endsWith('accept.event_stream')) answer(response, `data: ${request.headers.accept ?? ''}\n\n`)
    else if (pathname === '/ours.js') send('javascript', ours)
    else if (pathname === '/resources/testharnessreport.js') send('javascript', REPORT)
    else if (pathname === '/common/get-host-info.sub.js') send('javascript', HOSTS)
    else if (test) {
      const [, name = '', worker, kind] = test
      const source = readFileSync(path.join(folder, `${name}.js`), 'utf8')
      const scripts = [...source.matchAll(/^\/\/ META: script=(.*)$/gm)].map(([, script]) => `${script}`)
      const title = /^\/\/ META: title=(.*)$/m.exec(source)?.[1] ?? name
      if (kind === 'js' && worker) {
        const all = [...(isOurs ? ['/ours.js'] : []), '/resources/testharness.js', ...scripts, `/${name}.js`]
        send('javascript', `importScripts(${all.map((script) => JSON.stringify(script)).join()})\ndone()`)
      } else if (kind === 'js') send('javascript', source)
      else {
        const inPage = [...scripts, `/${name}.js`].map((script) => `<script src="${script}"></script>`).join('')
        const inWorker = `<script>fetch_tests_from_worker(new Worker("/${name}.worker.js${search}"))</script>`
        send('html', `<!doctype html><title>${title}</title>${put}${HARNESS}${worker ? inWorker : inPage}`)
      }
    } else {
      try {
        const text = readFileSync(path.join(folder, pathname), 'utf8')
        if (/\.html?$/.test(pathname)) send('html', text.replace(/(?=<script|$)/, put))
        else send('javascript', text)
      } catch {
        response.writeHead(404).end()
      }
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const address = server.address()
  return {
    // Hosts below `localhost` are this machine to browsers, and those below one are one site.
    url: `http://web.localhost:${typeof address === 'object' && address?.port}`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

const HARNESS =
  '<script src="/resources/testharness.js"></script><script src="/resources/testharnessreport.js"></script>'
const REPORT = `add_completion_callback((tests) => {
  globalThis.page = tests.map(({ name, status, message }) => ({ name, status, message }))
})`
const HOSTS = `self.get_host_info = () => ({ HTTP_REMOTE_ORIGIN: location.origin.replace('://', '://www2.') })`
