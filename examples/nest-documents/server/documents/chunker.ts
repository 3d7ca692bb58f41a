/** Characters that a chunk aims at, and does not pass. */
export const CHUNK_CHARACTERS = 400

/**
 * Cuts a text into chunks that can be understood alone: whole paragraphs where they fit, else whole sentences, else whole
 * words. Short neighbours (a heading and its paragraph) share a chunk. Nothing but white space is lost.
 */
export function chunkText(text: string, limit = CHUNK_CHARACTERS): string[] {
  const paragraphs = text
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== '')
  return pack(
    paragraphs.flatMap((paragraph) => (paragraph.length <= limit ? [paragraph] : splitParagraph(paragraph, limit))),
    '\n\n',
    limit,
  )
}

/** Pieces of one paragraph, each within the limit. */
function splitParagraph(paragraph: string, limit: number): string[] {
  const sentences = paragraph.split(/(?<=[.!?…]["'”’)]?)\s+/).filter((sentence) => sentence !== '')
  const pieces = sentences.flatMap((sentence) =>
    sentence.length <= limit ? [sentence] : splitSentence(sentence, limit),
  )
  return pack(pieces, ' ', limit)
}

function splitSentence(sentence: string, limit: number): string[] {
  const words = sentence.split(/\s+/).flatMap((word) => (word.length <= limit ? [word] : cut(word, limit)))
  return pack(words, ' ', limit)
}

/** A "word" that is longer than a chunk (a data URL, a language without spaces) is cut between code points. */
function cut(word: string, limit: number): string[] {
  const pieces: string[] = []
  let piece = ''
  for (const character of word) {
    if (piece.length + character.length > limit) {
      pieces.push(piece)
      piece = ''
    }
    piece += character
  }
  if (piece !== '') pieces.push(piece)
  return pieces
}

/** Joins neighbours for as long as they stay within the limit. */
function pack(pieces: string[], separator: string, limit: number): string[] {
  const packed: string[] = []
  for (const piece of pieces) {
    const last = packed.at(-1)
    if (last !== undefined && last.length + separator.length + piece.length <= limit) {
      packed[packed.length - 1] = last + separator + piece
    } else {
      packed.push(piece)
    }
  }
  return packed
}
