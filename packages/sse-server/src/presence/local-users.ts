interface LocalUser {
  connections: number
  /** Without a connection: when the grace time is over, by the monotonic clock. */
  until: number
}

/** The users of one project with streams in this process, or with one a moment ago. */
export class LocalUsers {
  readonly #users = new Map<string, LocalUser>()
  /** Those without a connection. */
  readonly #away = new Set<string>()
  /** What the others have not been told yet. */
  #entered = new Set<string>()
  #left = new Set<string>()

  get size(): number {
    return this.#users.size
  }

  get changed(): boolean {
    return this.#entered.size + this.#left.size > 0
  }

  /** Those that this instance holds. */
  ids(): string[] {
    return [...this.#users.keys()]
  }

  entered(userId: string): void {
    const user = this.#users.get(userId)
    this.#away.delete(userId)
    if (user) user.connections++
    else {
      this.#users.set(userId, { connections: 1, until: 0 })
      if (!this.#left.delete(userId)) this.#entered.add(userId)
    }
  }

  left(userId: string, until: number): void {
    const user = this.#users.get(userId)
    if (!user || --user.connections > 0) return
    user.until = until
    this.#away.add(userId)
  }

  /** Lets go of those whose grace time is over. */
  tick(now: number): void {
    for (const userId of this.#away) {
      // In the order in which they left: the rest is later.
      if ((this.#users.get(userId) as LocalUser).until > now) return
      this.#away.delete(userId)
      this.#users.delete(userId)
      if (!this.#entered.delete(userId)) this.#left.add(userId)
    }
  }

  /** What has changed since the last call. */
  take(): { in: string[]; out: string[] } {
    const changes = { in: [...this.#entered], out: [...this.#left] }
    this.#entered = new Set()
    this.#left = new Set()
    return changes
  }
}
