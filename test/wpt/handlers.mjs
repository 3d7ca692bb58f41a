/**
 * What the web platform tests of `eventsource/` ask their server for, in Node: each is what the Python file of that name in
 * `eventsource/resources` does.
 */

/** @typedef {import('node:http').IncomingMessage} Request @typedef {import('node:http').ServerResponse} Response */
/** @typedef {Record<string, string>} Query of bytes, one a character */
/** @type {Record<string, (request: Request, response: Response, query: Query) => void>} */
export const handlers = {
  message(_, response, { mime = STREAM, message = 'data: data', newline, sleep = '0' }) {
    const body = `${message}${newline === 'none' ? '' : '\n\n'}\n`
    setTimeout(() => response.setHeader('Content-Type', mime).end(body, 'latin1'), Number(sleep))
  },

  message2(_, response) {
    response.writeHead(200, { 'Content-Type': STREAM, 'Cache-Control': 'no-cache' })
    const write = () => {
      response.write('data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n')
    }
    write()
    const timer = setInterval(write, 2_000)
    response.on('close', () => clearInterval(timer))
  },

  'last-event-id'(request, response, { idvalue = Buffer.from('…').toString('latin1') }) {
    const id = idOf(request)
    answer(response, id ? `data: ${id}\n\n` : `id: ${idvalue}\nretry: 200\ndata: hello\n\n`)
  },

  'last-event-id2'(_, response, { type = '1' }) {
    const streams = [
      'id: 1\ndata: 1\n\ndata: 2\n\nid: 2\ndata:3\n\ndata:4\n\n',
      'id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n',
      'id: 1\ndata: 1\n\nid\ndata:2\n\ndata:3\n\n',
    ]
    answer(response, streams[Number(type) - 1] ?? 'data: invalid_test\n\n')
  },

  'status-error'(_, response, { status = '404' }) {
    response.writeHead(Number(status), { 'Content-Type': STREAM })
    response.end(['204', '205'].includes(status) ? '' : 'data: data\n\n')
  },

  'status-reconnect'(request, response, { status = '204', id = status, ok_first }) {
    const name = `request${id}`
    const isBack = cookiesOf(request)[name] === status
    response.setHeader('Set-Cookie', isBack ? `${name}=; Path=/; Max-Age=0` : `${name}=${status}; Path=/`)
    response.writeHead(isBack ? 200 : Number(status), { 'Content-Type': STREAM })
    response.end(isBack ? 'data: data\n\n' : `retry: 2\n${ok_first === undefined ? '' : 'data: ok\n\n'}`)
  },

  'reconnect-fail'(request, response, { id }) {
    const name = `recon_fail_${id}`
    const state = cookiesOf(request)[name]
    const next = state === 'opened' ? 'reconnected' : state === 'reconnected' ? '' : 'opened'
    response.setHeader('Set-Cookie', `${name}=${next}; Path=/${next ? '' : '; Max-Age=0'}`)
    response.writeHead(next ? 200 : 204, { 'Content-Type': STREAM })
    response.end(next && `retry: 2\ndata: ${next}\n\n`)
  },

  cors(request, response, query) {
    const { origin = request.headers.origin, credentials = 'true', run = '' } = query
    if (origin !== undefined) response.setHeader('Access-Control-Allow-Origin', origin)
    response.setHeader('Access-Control-Allow-Credentials', credentials)
    if (run === 'cache-control') answer(response, `data: ${request.headers['cache-control'] ?? ''}\n\n`)
    else if (run === 'redirect') redirect(response, query)
    else handlers[run]?.(request, response, query)
  },

  'cors-cookie'(request, response, query) {
    const { ident = 'test', origin = request.headers.origin ?? 'none', credentials = 'true' } = query
    const id = idOf(request)
    const cookie = ident in cookiesOf(request) ? 'COOKIE' : 'NO_COOKIE'
    if (origin !== 'none') response.setHeader('Access-Control-Allow-Origin', origin)
    if (credentials !== 'none') response.setHeader('Access-Control-Allow-Credentials', credentials)
    if (id === '') response.setHeader('Set-Cookie', `${ident}=COOKIE; Path=/`)
    if (id === '1') response.setHeader('Set-Cookie', `${ident}=; Path=/; Max-Age=0`)
    if (id === '') answer(response, `id: 1\nretry: 200\ndata: first ${cookie}\n\n`)
    else if (id === '1') answer(response, `id: 2\ndata: second ${cookie}\n\n`)
    else response.setHeader('Content-Type', 'stop').end()
  },

  'cors-unsafe-last-event-id'(request, response, { fixture = '', token = '' }) {
    const asked = request.headers['access-control-request-headers']
    response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*')
    if (asked) response.setHeader('Access-Control-Allow-Headers', asked)
    if (request.method === 'OPTIONS') {
      preflights.set(token, asked?.toLowerCase())
      response.end()
      return
    }
    const sent = { safe: 'abc', unsafe: 'e5p3n<3k0k0s', long: 'a'.repeat(255) }[fixture]
    const id = idOf(request)
    if (id === '') answer(response, `id: ${sent}\nretry: 200\ndata: ${fixture}\n\n`)
    else {
      const isRight = preflights.get(token) === (fixture === 'safe' ? undefined : 'last-event-id') && id === sent
      answer(response, `event: ${isRight ? 'success' : 'failure'}\ndata: preflight ${preflights.get(token)}\n\n`)
    }
  },
}

const STREAM = 'text/event-stream'
/** @type {Map<string, string | undefined>} */
const preflights = new Map()

/** @param {Response} response @param {string} body */
export function answer(response, body) {
  response.setHeader('Content-Type', STREAM).end(body, 'latin1')
}

/** @param {Response} response @param {Query} query */
export function redirect(response, { location = '/', status = '302' }) {
  response.writeHead(Number(status), { Location: location }).end()
}

/** Bytes as characters: not all of them are UTF-8. @param {string} search @returns {Query} */
export function queryOf(search) {
  const pairs = search
    .slice(1)
    .split('&')
    .map((pair) => pair.split(/=(.*)/s).map(bytesOf))
  return Object.fromEntries(pairs.filter(([name]) => name).map(([name, value = '']) => [name, value]))
}

/** @param {string} text */
function bytesOf(text) {
  return text.replace(/\+/g, ' ').replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** @param {Request} request @returns {string} */
function idOf({ headers }) {
  return String(headers['last-event-id'] ?? '')
}

/** @param {Request} request @returns {Record<string, string>} */
function cookiesOf({ headers }) {
  const cookies = (headers.cookie ?? '').split(/; */).filter(Boolean)
  return Object.fromEntries(cookies.map((cookie) => cookie.split(/=(.*)/s).slice(0, 2)))
}
