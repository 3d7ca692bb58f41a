import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CHUNK_CHARACTERS, chunkText } from '../../server/documents/chunker.js'

/** The same texts in every run: it fails for what has changed, and for nothing else. */
fc.configureGlobal({ seed: 1 })

const sentence = (words: number) => `${Array.from({ length: words }, (_, i) => `word${i}`).join(' ')}.`
const bare = (text: string) => text.replace(/\s+/g, '')

describe('chunkText', () => {
  it('[chunker] keeps a heading with its paragraph', () => {
    expect(chunkText('Title\n\nA short paragraph.')).toEqual(['Title\n\nA short paragraph.'])
  })

  it('[chunker] gives paragraphs that do not fit together a chunk each', () => {
    const paragraph = sentence(40)
    expect(paragraph.length).toBeGreaterThan(CHUNK_CHARACTERS / 2)
    expect(chunkText(`${paragraph}\n\n${paragraph}\n \n${paragraph}`)).toEqual([paragraph, paragraph, paragraph])
  })

  it('[chunker] cuts a long paragraph between sentences', () => {
    const chunks = chunkText(Array.from({ length: 8 }, () => sentence(20)).join(' '))
    expect(chunks.length).toBeGreaterThan(1)
    for (const chunk of chunks) expect(chunk).toMatch(/^word0 .*\.$/)
  })

  it('[chunker] cuts a word that is longer than a chunk, but no character', () => {
    const chunks = chunkText('🌊'.repeat(30), 11)
    expect(chunks).toEqual([
      '🌊'.repeat(5),
      '🌊'.repeat(5),
      '🌊'.repeat(5),
      '🌊'.repeat(5),
      '🌊'.repeat(5),
      '🌊'.repeat(5),
    ])
  })

  it('[chunker] reads Windows and old Mac line ends, and skips a byte order mark', () => {
    expect(chunkText('\uFEFFone\r\n\r\ntwo\r\rthree', 5)).toEqual(['one', 'two', 'three'])
  })

  it('[chunker] makes nothing of nothing', () => {
    expect(chunkText('')).toEqual([])
    expect(chunkText(' \n\n\t\n ')).toEqual([])
  })

  it('[chunker] loses nothing but white space and never passes the limit, whatever the text', () => {
    const text = fc.array(fc.oneof(fc.string(), fc.constantFrom('\n\n', '. ', '\r\n', ' ', '🌊', 'word')), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(text, fc.integer({ min: 2, max: 80 }), (parts, limit) => {
        const whole = parts.join('')
        const chunks = chunkText(whole, limit)
        expect(bare(chunks.join(''))).toBe(bare(whole.replace(/^\uFEFF/, '')))
        for (const chunk of chunks) {
          expect(chunk.length).toBeGreaterThan(0)
          expect(chunk.length).toBeLessThanOrEqual(limit)
        }
      }),
    )
  })
})
