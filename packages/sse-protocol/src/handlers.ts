import type { ProjectEvent } from './event'
import { assertPattern, assertTypePattern, typeKeys } from './pattern'

type Handler = (event: ProjectEvent) => void
/** Grows in place; who goes leaves another list behind. So whoever reads up to the length that he found sees nobody come or go. */
type Handlers = readonly Handler[]

const NOBODY: Handlers = []

/**
 * Handlers by pattern and by type pattern. An event finds its handlers by looking up the few patterns that can name it,
 * so that a page with a thousand subscriptions pays for those that match.
 */
export class HandlerIndex {
  /** Of the pattern `*`, by that name. */
  readonly #ofAll = new Map<string, Handlers>()
  /** Of `<entity>:*`, by entity. */
  readonly #ofEntity = new Map<string, Handlers>()
  /** By entity and then by id: no text is put together to look one up. */
  readonly #byId = new Map<string, Map<string, Handlers>>()
  readonly #byType = new Map<string, Handlers>()
  /** The entity that the last event was of, where anybody asks for some of its ids, and who: one follows itself most of the time. */
  #lastEntity = ''
  #lastById: Map<string, Handlers> | undefined
  #size = 0

  /** Adds a handler for a pattern; the result takes it out. The same function may be added twice: it is then called twice. */
  addPattern(pattern: string, handler: Handler): () => void {
    assertPattern(pattern)
    if (pattern === '*') return this.#add(this.#ofAll, pattern, handler)
    const colon = pattern.indexOf(':')
    const entity = pattern.slice(0, colon)
    const id = pattern.slice(colon + 1)
    if (id === '*') return this.#add(this.#ofEntity, entity, handler)
    const byId = this.#byId.get(entity) ?? new Map<string, Handlers>()
    this.#byId.set(entity, byId)
    return this.#add(byId, id, handler)
  }

  /** Adds a handler for a type pattern; the result takes it out. */
  addType(typePattern: string, handler: Handler): () => void {
    assertTypePattern(typePattern)
    return this.#add(this.#byType, typePattern, handler)
  }

  /** How many registrations there are. */
  get size(): number {
    return this.#size
  }

  /**
   * Calls each handler that matches, once. What a handler throws, or rejects with where it is async, goes to `onError`; the rest still run.
   * A handler that another one takes out meanwhile is not called any more. `onError` must not throw.
   */
  dispatch(event: ProjectEvent, onError: (error: unknown) => void): void {
    const matched = this.#match(event)
    for (let i = 0, { length } = matched; i < length; i++) {
      try {
        const result = matched[i]!(event) as PromiseLike<unknown> | undefined
        // `void` lets async functions in: a rejection that nobody handles would end a Node process. Not `instanceof`: other realms have promises, too.
        if (result?.then) Promise.resolve(result).catch(onError)
      } catch (error) {
        onError(error)
      }
    }
  }

  #add(index: Map<string, Handlers>, key: string, handler: Handler): () => void {
    // A wrapper of its own for each registration, so that one `off` never removes another's handler.
    let active = true
    const own: Handler = (event) => (active ? handler(event) : undefined)
    const handlers = index.get(key) as Handler[] | undefined
    if (handlers) handlers.push(own)
    else index.set(key, [own])
    this.#size++
    return () => {
      if (!active) return
      active = false
      this.#size--
      const left = index.get(key)?.filter((one) => one !== own)
      if (left?.length) index.set(key, left)
      else index.delete(key)
    }
  }

  /** Whom the event is for now: who is added by one of them comes too late. */
  #match({ entity, id, ids, type }: ProjectEvent): Handlers {
    let matched = NOBODY
    if (entity !== undefined) {
      if (this.#ofAll.size > 0) matched = join(matched, this.#ofAll.get('*'))
      if (this.#ofEntity.size > 0) matched = join(matched, this.#ofEntity.get(entity))
      if (entity !== this.#lastEntity) {
        this.#lastById = this.#byId.get(entity)
        // Who comes later must be found: only a map that there is stays what it is.
        this.#lastEntity = this.#lastById ? entity : ''
      }
      const byId = this.#lastById
      if (byId) {
        // A batch may name an entity twice.
        if (ids) matched = [...matched, ...[...new Set(ids)].flatMap((one) => byId.get(one) ?? NOBODY)]
        else matched = join(matched, byId.get(id as string))
      }
    }
    if (this.#byType.size > 0) for (const key of typeKeys(type)) matched = join(matched, this.#byType.get(key))
    return matched
  }
}

/** Most events are for one list: nothing is copied then. */
function join(handlers: Handlers, others: Handlers | undefined): Handlers {
  if (!others) return handlers
  return handlers.length === 0 ? others : [...handlers, ...others]
}
