import type { Addressed } from '../seams/exchange'
import { networkOf } from './network'

/** Those who are there, in any order. Who comes while one goes through them may be gone through too, or not. */
export interface Crowd<Member> extends Iterable<Member> {
  readonly size: number
}

/**
 * How many of a crowd come from each address. To ask the system for an address costs more than all else that the crowd is about, so nobody
 * is asked while all of them together could not fill the limit twice. Above that each newcomer is, and one more of those before.
 */
export class Addresses<Member> {
  /** By member; absent while it cannot matter. */
  #networks: Map<Member, string> | undefined
  readonly #counts = new Map<string, number>()
  /** Those who came before they were asked. */
  #earlier: Iterator<Member> | undefined

  constructor(
    readonly crowd: Crowd<Member>,
    readonly limit: number,
    readonly fromOf: (member: Member) => Addressed,
  ) {}

  /** Whether as many as may be come from where the newcomer does, if `without` were not there. */
  isFull(newcomer: Addressed, without?: Member): boolean {
    const less = without ? 1 : 0
    if (this.crowd.size - less < this.limit) return false
    const { ip } = newcomer
    if (ip === undefined) return false
    this.#networks ??= this.#begin()
    while (this.#askOne());
    const network = networkOf(ip)
    const isThere = without !== undefined && this.#networks.get(without) === network
    return (this.#counts.get(network) ?? 0) - (isThere ? less : 0) >= this.limit
  }

  /** Called when it is in the crowd. */
  add(member: Member): void {
    if (!this.#networks) {
      if (this.crowd.size * 2 < this.limit) return
      this.#networks = this.#begin()
    }
    this.#count(member)
    // Two at a time: all have been asked before the limit is reached, and never all in one turn.
    this.#askOne()
    this.#askOne()
  }

  /** Called when it is no longer in the crowd. */
  remove(member: Member): void {
    if (!this.#networks) return
    const network = this.#networks.get(member)
    if (network !== undefined) {
      this.#networks.delete(member)
      const left = (this.#counts.get(network) ?? 1) - 1
      if (left > 0) this.#counts.set(network, left)
      else this.#counts.delete(network)
    }
    if (this.crowd.size * 4 >= this.limit) return
    this.#networks = undefined
    this.#earlier = undefined
    this.#counts.clear()
  }

  #begin(): Map<Member, string> {
    this.#earlier = this.crowd[Symbol.iterator]()
    return new Map()
  }

  /** Whether there may be another one. */
  #askOne(): boolean {
    const next = this.#earlier?.next()
    if (!next) return false
    if (next.done) this.#earlier = undefined
    else this.#count(next.value)
    return !next.done
  }

  #count(member: Member): void {
    if (!this.#networks || this.#networks.has(member)) return
    const { ip } = this.fromOf(member)
    if (ip === undefined) return
    const network = networkOf(ip)
    this.#networks.set(member, network)
    this.#counts.set(network, (this.#counts.get(network) ?? 0) + 1)
  }
}
