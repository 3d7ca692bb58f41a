import type { Clock } from '../seams/ports'

/** Any storage, sync or async: `localStorage`, a database, a file. */
export interface CursorStorage {
  get(key: string): string | null | undefined | Promise<string | null | undefined>
  set(key: string, cursor: string): unknown
  remove(key: string): unknown
}

/** What `sessionCursor()` and `storedCursor()` return, for the option `cursorStore`. */
export type CursorStore = (clock: Clock) => CursorKeeper

/** What the subscriber does with it. */
export interface CursorKeeper {
  /** From here on it is about this key. */
  turnTo(key: string): void
  /** What was kept, whatever it is. Never rejects. */
  read(): Promise<unknown>
  /** There is a newer one, or none any more. */
  keep(cursor: string | undefined): void
  /** Writes now what is not written yet; no timer is left. */
  flush(): void
}

/**
 * Keeps the cursor in the tab's `sessionStorage`, which outlives a reload. Where there is none, nothing is kept.
 *
 * @param prefix what its keys begin with
 * @example
 * new EventSubscriber(url, { projectId, identity: user.id, cursorStore: sessionCursor() })
 */
export function sessionCursor(prefix = 'entitycast:'): CursorStore {
  return storedCursor({
    get: (key) => globalThis.sessionStorage?.getItem(prefix + key),
    set: (key, cursor) => globalThis.sessionStorage?.setItem(prefix + key, cursor),
    remove: (key) => globalThis.sessionStorage?.removeItem(prefix + key),
  })
}

/**
 * Keeps the cursor in a storage of your own. The key names the stream, the project and who looks at it, so that nobody goes on at another
 * one's cursor.
 */
export function storedCursor(storage: CursorStorage): CursorStore {
  return (clock) => new StoredCursor(storage, clock)
}

/** A store that takes longer has nothing to say, in milliseconds. */
const READ_MS = 1_000
/** It is written to at most this often, and when the stream ends. */
const WRITE_MS = 1_000

/** Keeps the newest cursor. Whatever the store does, a stream never waits long for it, and never breaks. */
class StoredCursor implements CursorKeeper {
  readonly #store: CursorStorage
  readonly #clock: Clock
  #key = ''
  #cursor: string | undefined
  /** What was written last; `null` where that is not known. */
  #written: string | null | undefined
  #writing = false
  #cancel: (() => void) | undefined

  constructor(store: CursorStorage, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  turnTo(key: string): void {
    if (key === this.#key) return
    this.#key = key
    this.#cursor = undefined
    this.#written = null
  }

  async read(): Promise<unknown> {
    this.#cancel?.()
    const late = new Promise<undefined>((resolve) => {
      this.#cancel = this.#clock.after(READ_MS, () => resolve(undefined))
    })
    try {
      this.#written = await Promise.race([late, this.#store.get(this.#key)])
      return this.#written
    } catch {
      return undefined
    } finally {
      this.#cancel?.()
      this.#cancel = undefined
    }
  }

  keep(cursor: string | undefined): void {
    this.#cursor = cursor
    this.#cancel ??= this.#clock.after(WRITE_MS, () => this.flush())
  }

  flush(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (!this.#writing) void this.#write()
  }

  /** One after the other, or an async store could end with the older one. */
  async #write(): Promise<void> {
    this.#writing = true
    while (this.#cursor !== this.#written && (this.#cursor ?? this.#written)) {
      const cursor = this.#cursor
      this.#written = cursor
      try {
        await (cursor === undefined ? this.#store.remove(this.#key) : this.#store.set(this.#key, cursor))
      } catch {
        // It is written to again with the next one.
        this.#written = null
        break
      }
    }
    this.#writing = false
  }
}
