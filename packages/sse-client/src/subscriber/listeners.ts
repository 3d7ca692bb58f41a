/** Who wants to hear of one thing. */
export interface Listeners<Value> {
  size(): number
  /** Adds a listener; the result takes it out. The same function may be added twice: it is then called twice. */
  add(listener: (value: Value) => unknown): () => void
  /**
   * Tells those who listen now, as long as `valid` holds. What a listener throws, or rejects with (`wasPromised`), goes to `onError`; the rest still hear.
   * One that another takes out meanwhile is not told any more.
   *
   * @returns what is left to wait for; it never rejects. Nothing where no listener is async
   */
  tell(
    value: Value,
    onError: (error: unknown, wasPromised?: boolean) => void,
    valid?: () => boolean,
  ): Promise<unknown> | undefined
}

export function createListeners<Value>(): Listeners<Value> {
  const all = new Set<(value: Value) => unknown>()
  return {
    size: () => all.size,
    add(listener) {
      const own = (value: Value) => listener(value)
      all.add(own)
      return () => {
        all.delete(own)
      }
    },
    tell(value, onError, valid) {
      const running: Promise<unknown>[] = []
      for (const listener of [...all]) {
        if (valid?.() === false) break
        if (!all.has(listener)) continue
        try {
          const result = listener(value) as PromiseLike<unknown> | undefined
          // Not `instanceof`: promises of another realm, and what a library or a patched platform takes for one, count too.
          if (result?.then) running.push(Promise.resolve(result).catch((error) => onError(error, true)))
        } catch (error) {
          onError(error)
        }
      }
      return running.length > 0 ? Promise.all(running) : undefined
    },
  }
}
