import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** What there is to load, by its path. `npm run build` makes the script. */
const FILES = new Map([
  ['/', { file: '../web/index.html', type: 'text/html; charset=utf-8' }],
  ['/page.js', { file: '../dist/page.js', type: 'text/javascript' }],
])

/** Whether there was such a file. @param {string} pathname @param {import('node:http').ServerResponse} res */
export async function sendFile(pathname, res) {
  const found = FILES.get(pathname)
  if (!found) return false
  const content = await readFile(fileURLToPath(new URL(found.file, import.meta.url)))
  res.writeHead(200, { 'content-type': found.type }).end(content)
  return true
}
