/** Who wants to hear of one thing. */
export class Listeners<Value> {
  readonly #all = new Set<(value: Value) => unknown>()

  get size(): number {
    return this.#all.size
  }

  /** Adds a listener; the result takes it out. The same function may be added twice: it is then called twice. */
  add(listener: (value: Value) => unknown): () => void {
    const own = (value: Value) => listener(value)
    this.#all.add(own)
    return () => {
      this.#all.delete(own)
    }
  }

  /**
   * Tells those who listen now, as long as `valid` holds. What a listener throws, or rejects with, goes to `onError`; the rest still hear.
   * One that another takes out meanwhile is not told any more.
   *
   * @returns what is left to wait for; it never rejects. Nothing where no listener is async
   */
  tell(
    value: Value,
    onError: (error: unknown) => void,
    valid: () => boolean = () => true,
  ): Promise<unknown> | undefined {
    const running: Promise<unknown>[] = []
    for (const listener of [...this.#all]) {
      if (!valid()) break
      if (!this.#all.has(listener)) continue
      try {
        const result = listener(value)
        if (result instanceof Promise) running.push(result.catch(onError))
      } catch (error) {
        onError(error)
      }
    }
    return running.length > 0 ? Promise.all(running) : undefined
  }
}
