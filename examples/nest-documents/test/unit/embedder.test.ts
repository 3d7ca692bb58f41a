import { describe, expect, it } from 'vitest'
import { cosine, DIMENSIONS, embed } from '../../server/embedding/embedder.js'

describe('embed', () => {
  it('[embedder] gives 256 numbers of length 1, the same ones for the same text', () => {
    const vector = embed('The kelp canopy was thin in the first twenty metres.')
    expect(vector).toHaveLength(DIMENSIONS)
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
    expect(embed('The kelp canopy was thin in the first twenty metres.')).toEqual(vector)
  })

  it('[embedder] puts texts about one thing nearer than texts about two', () => {
    const question = embed('How long are client files kept?')
    const near = embed('We keep a client’s file for six years after the matter has been closed.')
    const far = embed('Sea urchins sat in the cracks, not on open rock.')
    expect(cosine(question, near)).toBeGreaterThan(cosine(question, far) + 0.1)
  })

  it('[embedder] takes no notice of case, of how accents are written, of white space and punctuation', () => {
    expect(cosine(embed('Café au lait!'), embed('  CAFE\u0301, au\nlait '))).toBeCloseTo(1, 5)
  })

  it('[embedder] finds a word in another form', () => {
    expect(cosine(embed('freezing'), embed('freezer'))).toBeGreaterThan(0.2)
    expect(cosine(embed('freezing'), embed('landlord'))).toBeLessThan(0.2)
  })

  it('[embedder] has nothing to say about a text without words', () => {
    expect(Math.hypot(...embed('… — !?'))).toBe(0)
    expect(cosine(embed(''), embed('word'))).toBe(0)
  })
})
