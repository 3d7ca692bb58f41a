import { type Spread, show } from './statistics'
import type { Bars } from './workload'

/*
 * The chart beside the tables: one panel a workload, one bar a server, and a thin line from quartile to quartile, or from the smallest to the largest of a few rounds.
 * It brings its own background, so that it can be read on a light page and on a dark one.
 */

const WIDTH = 860
const LABELS = 250
const VALUES = 170
const ROW = 22
const HEAD = 44
const GAP = 18

const STYLE = `
  svg { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
  .back { fill: #ffffff; } .edge { fill: none; stroke: #d0d7de; }
  text { fill: #1f2328; } .title { font-weight: 600; font-size: 14px; } .value { fill: #59636e; }
  .bar { fill: #8c959f; } .ours { fill: #1a7f37; } .range { stroke: #1f2328; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; } .edge { stroke: #3d444d; }
    text { fill: #f0f6fc; } .value { fill: #9198a1; }
    .bar { fill: #656c76; } .ours { fill: #3fb950; } .range { stroke: #f0f6fc; }
  }`

export function chart(panels: readonly Bars[]): string {
  let y = GAP
  const parts: string[] = []
  for (const panel of panels) {
    parts.push(`<text class="title" x="${GAP}" y="${y + 16}">${xml(panel.title)}</text>`)
    parts.push(panelOf(panel, y + HEAD - ROW / 2))
    y += HEAD + panel.bars.length * ROW + GAP
  }
  const titles = panels.map(({ title }) => title).join('; ')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-label="${xml(titles)}">
<style>${STYLE}
</style>
<rect class="back" width="${WIDTH}" height="${y}"/>
<rect class="edge" x="0.5" y="0.5" width="${WIDTH - 1}" height="${y - 1}"/>
${parts.join('\n')}
</svg>
`
}

function panelOf({ bars }: Bars, top: number): string {
  const room = WIDTH - LABELS - VALUES - GAP
  const most = Math.max(...bars.map(({ value }) => value.high).filter(Number.isFinite), Number.MIN_VALUE)
  const scale = (value: number) => round((value / most) * room)
  return bars
    .map(({ label, value, ours }, i) => {
      const y = top + i * ROW
      const text = `<text x="${LABELS - 8}" y="${y + 14}" text-anchor="end"${ours ? ' font-weight="600"' : ''}>${xml(plain(label))}</text>`
      if (!Number.isFinite(value.median)) {
        return `${text}<text class="value" x="${LABELS}" y="${y + 14}">not measured</text>`
      }
      return `${text}<rect class="bar${ours ? ' ours' : ''}" x="${LABELS}" y="${y + 2}" width="${Math.max(1, scale(value.median))}" height="${ROW - 6}" rx="2"/>${rangeOf(value, y, scale)}<text class="value" x="${LABELS + scale(value.high) + 8}" y="${y + 14}">${show(value.median)}</text>`
    })
    .join('\n')
}

function rangeOf({ low, high }: Spread, y: number, scale: (value: number) => number): string {
  if (scale(high) - scale(low) < 1) return ''
  return `<path class="range" d="M${LABELS + scale(low)} ${y + ROW / 2 - 1}H${LABELS + scale(high)}"/>`
}

/** Labels are Markdown in the tables. */
function plain(label: string): string {
  return label.replace(/[*`]/g, '')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function xml(text: string): string {
  return plain(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')
}
