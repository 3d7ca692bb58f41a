import { assertUserId, ProtocolError, quote } from '@entitycast/sse-protocol'

/** Most users that one audience names: each event keeps its list for as long as it is retained. */
const MAX_AUDIENCE = 10_000
/** Users of all lists that are kept here, at most. */
const KEPT_USERS = 16_384

/**
 * Copies of the lists of users that events are for. Who may see an entity changes less often than the entity: the next event for the same
 * users shares the list of the one before, and nothing is checked, copied or retained twice.
 */
export class Audiences {
  /** By the first user. */
  readonly #lists = new Map<string, readonly string[]>()
  #kept = 0

  /**
   * The users of an audience, as they are now; nothing where it is left out.
   *
   * @throws ProtocolError
   */
  read(audience: { users: readonly string[] } | undefined): readonly string[] | undefined {
    if (audience === undefined) return undefined
    const users = audience?.users
    if (!Array.isArray(users) || users.length === 0 || users.length > MAX_AUDIENCE) {
      throw new ProtocolError(
        'INVALID_EVENT',
        `audience is ${quote(audience)} with users ${quote(users)}; it must be { users: [...] } with 1 to ${MAX_AUDIENCE} users, or be left out. For more, use a channel`,
      )
    }
    const known = this.#lists.get(users[0])
    if (known && isSame(known, users)) return known
    for (const user of users) assertUserId(user)
    const list: readonly string[] = [...users]
    this.#keep(list, known?.length ?? 0)
    return list
  }

  #keep(list: readonly string[], before: number): void {
    if (this.#kept - before + list.length > KEPT_USERS) {
      this.#lists.clear()
      this.#kept = 0
    } else this.#kept -= before
    this.#lists.set(list[0] as string, list)
    this.#kept += list.length
  }
}

function isSame(known: readonly string[], users: readonly unknown[]): boolean {
  if (known.length !== users.length) return false
  for (let i = 0; i < known.length; i++) if (known[i] !== users[i]) return false
  return true
}
