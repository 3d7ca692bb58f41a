import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const folderOf = (/** @type {string} */ url) => path.dirname(fileURLToPath(url))

/** What pages may load: the page, and the client's modules as they were built. */
const FOLDERS = new Map([
  ['/', fileURLToPath(new URL('../web', import.meta.url))],
  ['/sse-client/', folderOf(import.meta.resolve('@entitycast/sse-client'))],
  ['/sse-protocol/', folderOf(import.meta.resolve('@entitycast/sse-protocol'))],
])

/** Whether there was such a file. @param {string} pathname @param {import('node:http').ServerResponse} res */
export async function sendFile(pathname, res) {
  const match = /^(\/(?:[\w-]+\/)?)([\w-]+\.(?:js|html))?$/.exec(pathname)
  const root = FOLDERS.get(match?.[1] ?? '')
  const name = match?.[2] ?? 'index.html'
  const content = root && (await readFile(path.join(root, name)).catch(() => undefined))
  if (!content) return false
  res.setHeader('content-type', name.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8')
  res.end(content)
  return true
}
