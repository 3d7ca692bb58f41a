/** Numbers in an embedding. */
export const DIMENSIONS = 256

const STOP_WORDS = new Set(
  'a an and are as at be been but by for from had has have if in into is it its not of on or our so than that the their then there these they this to was we were what when which who will with you your'.split(
    ' ',
  ),
)

/**
 * The embedding of a text: its words, pairs of words and letter trigrams are hashed to 256 places (the sign comes from the
 * hash too, so that collisions cancel out), weighted by how often they occur, and normalised to length 1. No model, no network;
 * texts that share words or parts of words are near each other, which is what the demo's search needs.
 */
export function embed(text: string): Float32Array<ArrayBuffer> {
  const counts = new Map<string, { count: number; weight: number }>()
  const add = (feature: string, weight: number) => {
    const seen = counts.get(feature)
    if (seen) seen.count++
    else counts.set(feature, { count: 1, weight })
  }

  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? []
  const content = words.filter((word) => !STOP_WORDS.has(word))
  for (const [i, word] of content.entries()) {
    add(`w ${word}`, 1)
    const next = content[i + 1]
    if (next !== undefined) add(`b ${word} ${next}`, 0.6)
    const letters = [...`^${word}$`]
    for (let at = 0; at + 3 <= letters.length; at++) add(`t ${letters.slice(at, at + 3).join('')}`, 0.35)
  }

  const vector = new Float32Array(DIMENSIONS)
  for (const [feature, { count, weight }] of counts) {
    const hash = fnv1a(feature)
    const place = hash % DIMENSIONS
    const sign = hash & 0x8000_0000 ? -1 : 1
    vector[place] = (vector[place] as number) + sign * weight * (1 + Math.log(count))
  }
  return normalise(vector)
}

/** How near two embeddings are: 1 the same, 0 nothing in common. Both have length 1, so it is their dot product. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < DIMENSIONS; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}

function normalise(vector: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const length = Math.hypot(...vector)
  return length === 0 ? vector : vector.map((value) => value / length)
}

/** FNV-1a over UTF-16 units, then mixed (murmur3's finaliser): the plain hash's low bits are too regular for a modulus. */
function fnv1a(text: string): number {
  let hash = 0x811c_9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
