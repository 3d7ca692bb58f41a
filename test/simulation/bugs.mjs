import { CLIENT_BUGS } from './bugs.client.mjs'
import { LOG_BUGS } from './bugs.log.mjs'
import { SERVER_BUGS } from './bugs.server.mjs'

/**
 * A bug that others have made, or that a careless change would make here.
 *
 * @typedef {object} Bug
 * @property {string} name
 * @property {{ file: string, from: string, to: string }[]} edits what stands in the sources, and what the bug makes of it
 */

/** Planted one at a time in the real sources: the simulation must find each of them. */
export const BUGS = [...LOG_BUGS, ...SERVER_BUGS, ...CLIENT_BUGS]

/**
 * The sources with the bug in them. Throws where the code has changed and the bug no longer has a place.
 *
 * @param {Bug} bug
 */
export function plant({ name, edits }) {
  const used = new Set()
  /** @param {string} path @param {string} contents */
  const change = (path, contents) => {
    let text = contents
    for (const edit of edits) {
      if (!path.endsWith(edit.file)) continue
      if (!text.includes(edit.from)) throw new Error(`"${name}": ${edit.file} no longer has: ${edit.from}`)
      used.add(edit)
      text = text.replace(edit.from, () => edit.to)
    }
    return text
  }
  return { change, planted: () => used.size === edits.length }
}
