import type { ProjectEvent } from './event'
import { assertPattern, assertTypePattern, patternKeys, typeKeys } from './pattern'

type Handler = (event: ProjectEvent) => void

/**
 * Handlers by pattern and by type pattern. An event finds its handlers by looking up the few patterns that can name it,
 * so that a page with a thousand subscriptions pays for those that match.
 */
export class HandlerIndex {
  readonly #byPattern = new Map<string, Set<Handler>>()
  readonly #byType = new Map<string, Set<Handler>>()

  /** Adds a handler for a pattern; the result takes it out. The same function may be added twice: it is then called twice. */
  addPattern(pattern: string, handler: Handler): () => void {
    assertPattern(pattern)
    return add(this.#byPattern, pattern, handler)
  }

  /** Adds a handler for a type pattern; the result takes it out. */
  addType(typePattern: string, handler: Handler): () => void {
    assertTypePattern(typePattern)
    return add(this.#byType, typePattern, handler)
  }

  /** How many registrations there are. */
  get size(): number {
    let size = 0
    for (const set of this.#byPattern.values()) size += set.size
    for (const set of this.#byType.values()) size += set.size
    return size
  }

  /**
   * Calls each handler that matches, once. What a handler throws, or rejects with where it is async, goes to `onError`; the rest still run.
   * A handler that another one takes out meanwhile is not called any more. `onError` must not throw.
   */
  dispatch(event: ProjectEvent, onError: (error: unknown) => void): void {
    const matched: Handler[] = []
    if (this.#byPattern.size > 0) collect(this.#byPattern, patternKeys(event), matched)
    if (this.#byType.size > 0) collect(this.#byType, typeKeys(event.type), matched)
    for (const handler of new Set(matched)) {
      try {
        const result: unknown = handler(event)
        // `void` lets async functions in: a rejection that nobody handles would end a Node process.
        if (result instanceof Promise) result.catch(onError)
      } catch (error) {
        onError(error)
      }
    }
  }
}

function add(index: Map<string, Set<Handler>>, key: string, handler: Handler): () => void {
  // A wrapper of its own for each registration, so that one `off` never removes another's handler.
  let active = true
  const own: Handler = (event) => (active ? handler(event) : undefined)
  const set = index.get(key) ?? new Set()
  index.set(key, set.add(own))
  return () => {
    active = false
    const current = index.get(key)
    if (current?.delete(own) && current.size === 0) index.delete(key)
  }
}

function collect(index: Map<string, Set<Handler>>, keys: string[], into: Handler[]): void {
  for (const key of keys) {
    const set = index.get(key)
    if (set) for (const handler of set) into.push(handler)
  }
}
