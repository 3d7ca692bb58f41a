import type { ProjectEvent } from './event'
import { assertPattern, assertTypePattern, typeKeys } from './pattern'

type Handler = (event: ProjectEvent) => void
type Handlers = Set<Handler>

/**
 * Handlers by pattern and by type pattern. An event finds its handlers by looking up the few patterns that can name it,
 * so that a page with a thousand subscriptions pays for those that match.
 */
export class HandlerIndex {
  /** By entity and then by id, each of which may be `*`: no text is put together to look one up. */
  readonly #byEntity = new Map<string, Map<string, Handlers>>()
  readonly #byType = new Map<string, Handlers>()

  /** Adds a handler for a pattern; the result takes it out. The same function may be added twice: it is then called twice. */
  addPattern(pattern: string, handler: Handler): () => void {
    assertPattern(pattern)
    const colon = pattern.indexOf(':')
    const entity = colon < 0 ? '*' : pattern.slice(0, colon)
    const byId = this.#byEntity.get(entity) ?? new Map<string, Handlers>()
    this.#byEntity.set(entity, byId)
    return add(byId, pattern.slice(colon + 1), handler)
  }

  /** Adds a handler for a type pattern; the result takes it out. */
  addType(typePattern: string, handler: Handler): () => void {
    assertTypePattern(typePattern)
    return add(this.#byType, typePattern, handler)
  }

  /** How many registrations there are. */
  get size(): number {
    let size = 0
    for (const index of [...this.#byEntity.values(), this.#byType]) {
      for (const handlers of index.values()) size += handlers.size
    }
    return size
  }

  /**
   * Calls each handler that matches, once. What a handler throws, or rejects with where it is async, goes to `onError`; the rest still run.
   * A handler that another one takes out meanwhile is not called any more. `onError` must not throw.
   */
  dispatch(event: ProjectEvent, onError: (error: unknown) => void): void {
    for (const handler of this.#match(event)) {
      try {
        const result: unknown = handler(event)
        // `void` lets async functions in: a rejection that nobody handles would end a Node process.
        if (result instanceof Promise) result.catch(onError)
      } catch (error) {
        onError(error)
      }
    }
  }

  /** Whom the event is for now: who is added by one of them comes too late. */
  #match({ entity, id, ids, type }: ProjectEvent): Handler[] {
    const matched: Handler[] = []
    if (entity !== undefined) {
      collect(this.#byEntity.get('*')?.get('*'), matched)
      const byId = this.#byEntity.get(entity)
      if (byId) {
        collect(byId.get('*'), matched)
        // A batch may name an entity twice.
        for (const one of ids ? new Set(ids) : [id as string]) if (one !== '*') collect(byId.get(one), matched)
      }
    }
    if (this.#byType.size > 0) for (const key of typeKeys(type)) collect(this.#byType.get(key), matched)
    return matched
  }
}

function add(index: Map<string, Handlers>, key: string, handler: Handler): () => void {
  // A wrapper of its own for each registration, so that one `off` never removes another's handler.
  let active = true
  const own: Handler = (event) => (active ? handler(event) : undefined)
  const handlers = index.get(key) ?? new Set()
  index.set(key, handlers.add(own))
  return () => {
    active = false
    const current = index.get(key)
    if (current?.delete(own) && current.size === 0) index.delete(key)
  }
}

function collect(handlers: Handlers | undefined, into: Handler[]): void {
  if (handlers) for (const handler of handlers) into.push(handler)
}
