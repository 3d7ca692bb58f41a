/**
 * Records the picture of the README: two people's tabs of the documents example while its server is killed and started again.
 *
 * `npx turbo run build --filter=@entitycast-example/nest-documents && node scripts/demo-picture.mjs docs/images/demo.png`
 * writes an animated PNG: what changes from one frame to the next, in 256 colours. It needs Chromium (`CHROMIUM_PATH`).
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32, deflateSync, inflateSync } from 'node:zlib'
import { chromium } from 'playwright-core'

const MAIN = fileURLToPath(new URL('../examples/nest-documents/dist/server/main.js', import.meta.url))
const FRAME_MS = 400
const TAB = { viewport: { width: 900, height: 520 }, deviceScaleFactor: 0.6 }
const GAP = 12

/** @typedef {{ width: number, height: number, pixels: Uint32Array }} Image each pixel 0xRRGGBB */

/** @param {Buffer} png as Chromium writes it: 8 bits a channel, not interlaced @returns {Image} */
function decode(png) {
  const width = png.readUInt32BE(16)
  const height = png.readUInt32BE(20)
  const channels = png[25] === 6 ? 4 : 3
  const parts = []
  for (let at = 8; at < png.length; at += png.readUInt32BE(at) + 12)
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)))
  const raw = inflateSync(Buffer.concat(parts))
  const stride = width * channels
  const bytes = new Uint8Array(height * stride)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]
    for (let x = 0; x < stride; x++) {
      const left = x < channels ? 0 : /** @type {number} */ (bytes[y * stride + x - channels])
      const up = y === 0 ? 0 : /** @type {number} */ (bytes[(y - 1) * stride + x])
      const corner = y === 0 || x < channels ? 0 : /** @type {number} */ (bytes[(y - 1) * stride + x - channels])
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter ?? 0] ?? 0
      bytes[y * stride + x] = /** @type {number} */ (raw[y * (stride + 1) + 1 + x]) + guess
    }
  }
  const at = (/** @type {number} */ index) => /** @type {number} */ (bytes[index])
  const pixels = Uint32Array.from({ length: width * height }, (_, i) => {
    const from = i * channels
    return (at(from) << 16) | (at(from + 1) << 8) | at(from + 2)
  })
  return { width, height, pixels }
}

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)]
  return a <= b && a <= c ? left : b <= c ? up : corner
}

/** @param {Image} caption @param {Image[]} tabs @returns {Image} the caption over the tabs, which stand side by side */
function compose(caption, tabs) {
  const { width, height: captionHeight } = caption
  const height = captionHeight + Math.max(...tabs.map((tab) => tab.height))
  const pixels = new Uint32Array(width * height).fill(0xffffff)
  pixels.set(caption.pixels)
  let left = 0
  for (const tab of tabs) {
    for (let y = 0; y < tab.height; y++)
      pixels.set(tab.pixels.subarray(y * tab.width, (y + 1) * tab.width), (captionHeight + y) * width + left)
    left += tab.width + GAP
  }
  return { width, height, pixels }
}

/** @param {Image[]} frames @returns {Map<number, number>} the place of every colour in a palette of the 256 that are most frequent */
function palette(frames) {
  /** @type {Map<number, number>} */
  const counts = new Map()
  for (const { pixels } of frames) for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1)
  const all = [...counts].sort(([, a], [, b]) => b - a).map(([color]) => color)
  const kept = all.slice(0, 256)
  const away = (/** @type {number} */ a, /** @type {number} */ b) =>
    ((a >> 16) - (b >> 16)) ** 2 + (((a >> 8) & 255) - ((b >> 8) & 255)) ** 2 + ((a & 255) - (b & 255)) ** 2
  return new Map(
    all.map((color, i) => {
      let best = i
      if (i >= kept.length) {
        best = 0
        for (let j = 1; j < kept.length; j++) if (away(color, kept[j] ?? 0) < away(color, kept[best] ?? 0)) best = j
      }
      return [color, best]
    }),
  )
}

/** @param {Image[]} frames */
function encode(frames) {
  const places = palette(frames)
  const { width, height } = /** @type {Image} */ (frames[0])
  const plte = Buffer.alloc(256 * 3)
  for (const [color, place] of [...places].reverse()) plte.writeUIntBE(color, place * 3, 3)
  const indexed = frames.map(({ pixels }) => Uint8Array.from(pixels, (pixel) => places.get(pixel) ?? 0))
  /** @type {{ x: number, y: number, width: number, height: number, data: Buffer, frames: number }[]} */
  const drawn = []
  indexed.forEach((image, i) => {
    const before = indexed[i - 1]
    const box = before ? changed(before, image, width) : { x: 0, y: 0, width, height }
    const last = drawn.at(-1)
    if (!box) {
      if (last) last.frames++
      return
    }
    const rows = Array.from({ length: box.height }, (_, row) => {
      const from = (box.y + row) * width + box.x
      return Buffer.concat([Buffer.of(0), image.subarray(from, from + box.width)])
    })
    drawn.push({ ...box, data: deflateSync(Buffer.concat(rows), { level: 9 }), frames: 1 })
  })
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 3, 0, 0, 0], 8)
  let sequence = 0
  const animation = drawn.flatMap((frame, i) => {
    const control = Buffer.alloc(26)
    const fields = [sequence++, frame.width, frame.height, frame.x, frame.y]
    for (const [at, value] of fields.entries()) control.writeUInt32BE(value, at * 4)
    control.writeUInt16BE(frame.frames * FRAME_MS, 20)
    control.writeUInt16BE(1000, 22)
    const body = i === 0 ? chunk('IDAT', frame.data) : chunk('fdAT', Buffer.concat([uint32(sequence++), frame.data]))
    return [chunk('fcTL', control), body]
  })
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('PLTE', plte),
    chunk('acTL', Buffer.concat([uint32(drawn.length), uint32(0)])),
    ...animation,
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** @param {Uint8Array} before @param {Uint8Array} after @param {number} width */
function changed(before, after, width) {
  let [left, top, right, bottom] = [width, Number.POSITIVE_INFINITY, -1, -1]
  for (let i = 0; i < after.length; i++) {
    if (before[i] === after[i]) continue
    const x = i % width
    const y = (i - x) / width
    left = Math.min(left, x)
    right = Math.max(right, x)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y)
  }
  return right < 0 ? undefined : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }
}

/** @param {number} value */
function uint32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** @param {string} type @param {Uint8Array} data */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  return Buffer.concat([uint32(data.length), body, uint32(crc32(body))])
}

/** @param {string} dataDir @param {number} port */
async function startServer(dataDir, port) {
  const env = { ...process.env, DATA_DIR: dataDir, PORT: String(port), EMBEDDING_DELAY_MS: '900' }
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  /** @type {number} */
  const listening = await new Promise((resolve, reject) => {
    let printed = ''
    child.stdout.on('data', (text) => {
      printed += text
      const match = /http:\/\/localhost:(\d+)/.exec(printed)
      if (match) resolve(Number(match[1]))
    })
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${printed}`)))
  })
  return { child, port: listening }
}

const dataDir = mkdtempSync(path.join(tmpdir(), 'entitycast-picture-'))
let server = await startServer(dataDir, 0)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
})
try {
  const url = `http://127.0.0.1:${server.port}`
  /** @type {import('playwright-core').Page[]} */
  const tabs = []
  for (const person of ['user_maya', 'user_sam']) {
    const page = await (await browser.newContext({ ...TAB, colorScheme: 'light' })).newPage()
    await page.goto(url)
    await page.locator(`[data-testid="sign-in-${person}"]`).click()
    await page.locator('[data-testid="connection"][data-state="connected"]').waitFor()
    tabs.push(page)
  }
  const width = Math.round(TAB.viewport.width * TAB.deviceScaleFactor) * 2 + GAP
  const captionPage = await (await browser.newContext({ viewport: { width, height: 40 } })).newPage()
  /** @type {Image[]} */
  const frames = []
  const record = async (/** @type {string} */ caption, /** @type {number} */ count) => {
    await captionPage.setContent(
      `<body style="margin:10px 4px;font:600 16px system-ui,sans-serif;color:#223">${caption}`,
    )
    for (let i = 0; i < count; i++) {
      const at = Date.now()
      const shots = await Promise.all([captionPage, ...tabs].map((page) => page.screenshot()))
      const [first, ...rest] = shots.map(decode)
      frames.push(compose(/** @type {Image} */ (first), rest))
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, FRAME_MS - (Date.now() - at))))
    }
  }
  await record('Two people, one project', 3)
  await tabs[0]?.getByTestId('embed').click()
  await record('One presses “Embed all”: both pages follow', 12)
  server.child.kill('SIGKILL')
  await record('kill -9 of the server', 6)
  server = await startServer(dataDir, server.port)
  await record('It is started again: both come back, and are right', 14)
  const file = process.argv[2] ?? 'demo.png'
  const png = encode(frames)
  writeFileSync(file, png)
  console.log(`${file}: ${frames.length} frames, ${Math.round(png.length / 1024)} KB`)
} finally {
  server.child.kill('SIGKILL')
  await browser.close()
  rmSync(dataDir, { recursive: true, force: true })
}
