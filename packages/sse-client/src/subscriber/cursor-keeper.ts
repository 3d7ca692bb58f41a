import type { Clock } from '../seams/ports'

/**
 * Where a cursor outlives the page: any storage, sync or async. The key names the stream, the project and who looks at it, so that nobody
 * goes on at another one's cursor.
 */
export interface CursorStore {
  get(key: string): string | null | undefined | Promise<string | null | undefined>
  set(key: string, cursor: string): unknown
  remove(key: string): unknown
}

/**
 * The tab's `sessionStorage`, which outlives a reload. Where there is none, nothing is kept.
 *
 * @param prefix what its keys begin with
 * @example
 * new EventSubscriber(url, { projectId, identity: user.id, cursorStore: sessionCursor() })
 */
export function sessionCursor(prefix = 'entitycast:'): CursorStore {
  return {
    get: (key) => globalThis.sessionStorage?.getItem(prefix + key),
    set: (key, cursor) => globalThis.sessionStorage?.setItem(prefix + key, cursor),
    remove: (key) => globalThis.sessionStorage?.removeItem(prefix + key),
  }
}

/** A store that takes longer has nothing to say, in milliseconds. */
const READ_MS = 1_000
/** It is written to at most this often, and when the stream ends. */
const WRITE_MS = 1_000

/** Keeps the newest cursor in a store. Whatever the store does, a stream never waits long for it, and never breaks. */
export class CursorKeeper {
  readonly #store: CursorStore
  readonly #clock: Clock
  #key = ''
  #cursor: string | undefined
  /** What was written last; `null` where that is not known. */
  #written: string | null | undefined
  #writing = false
  #cancel: (() => void) | undefined

  constructor(store: CursorStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** From here on it is about this key. */
  turnTo(key: string): void {
    if (key === this.#key) return
    this.#key = key
    this.#cursor = undefined
    this.#written = null
  }

  /** What was kept, whatever it is. Never rejects. */
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

  /** There is a newer one, or none any more. */
  keep(cursor: string | undefined): void {
    this.#cursor = cursor
    this.#cancel ??= this.#clock.after(WRITE_MS, () => this.flush())
  }

  /** Writes now what is not written yet; no timer is left. */
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
