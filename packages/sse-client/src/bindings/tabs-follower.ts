import type { StreamResponse } from '@entitycast/sse-client'
import type { Told } from './tabs-leader'
import { answerOf, Pipe, type Refusal } from './tabs-pipe'
import { isBefore, readBlock, type Tape } from './tabs-tape'

type Answer = Extract<Told, { type: 'answer' }>
type Blocks = Extract<Told, { type: 'blocks' }>

/** One request of this tab's subscriber that the leading tab answers. */
export class Following {
  readonly response: Promise<StreamResponse>
  #respond!: (response: StreamResponse | Promise<StreamResponse>) => void
  #reject!: (error: unknown) => void
  #pipe: Pipe | undefined
  #term: string | undefined
  #seq = 0
  /** The stream has not come to this cursor yet: what lies up to it was loaded already. */
  #skipTo: string | undefined
  #skipped: string[] = []

  /** @param onOver it needs nothing any more */
  constructor(
    readonly request: string,
    readonly cursor: string | undefined,
    readonly onOver: () => void,
  ) {
    this.response = new Promise((resolve, reject) => {
      this.#respond = resolve
      this.#reject = reject
    })
  }

  get isWaiting(): boolean {
    return this.#pipe === undefined
  }

  answer({ term, seq, hello, at, entries, isAhead = false }: Answer, tape: Tape): void {
    if (!this.isWaiting) return
    if (tape.head === at && at !== undefined) tape.resume()
    else tape.begin(at)
    this.#term = term
    this.#seq = seq
    this.#skipTo = isAhead ? at : undefined
    this.#pipe = new Pipe(this.onOver)
    this.#pipe.write(hello)
    this.#respond(this.#pipe.response)
    this.#take(entries, tape)
  }

  refuse(refusal: Refusal): void {
    try {
      this.#respond(answerOf(refusal))
    } catch (error) {
      this.#reject(error)
    }
    this.onOver()
  }

  /** This tab leads now: the server answers. */
  pass(response: Promise<StreamResponse>): void {
    this.#respond(response)
  }

  blocks({ term, seq, entries }: Blocks, tape: Tape): void {
    if (term !== this.#term) return
    this.#seq++
    if (seq === this.#seq) this.#take(entries, tape)
    // Something was missed, however that came about.
    else this.rotate()
  }

  /** Another stream has taken the place of the one that this follows. */
  replaced(term: string): void {
    if (!this.isWaiting && term !== this.#term) this.rotate()
  }

  end(term: string, cut: boolean): void {
    if (term !== this.#term) return
    if (cut) this.rotate()
    else {
      this.#pipe?.end()
      this.onOver()
    }
  }

  /** The subscriber comes back soon, with its cursor. */
  rotate(): void {
    this.#pipe?.rotate()
    this.onOver()
  }

  #take(entries: readonly string[], tape: Tape): void {
    for (const text of entries) {
      if (this.#skipTo !== undefined && this.#skips(text, this.#skipTo)) continue
      // A page that has begun before the place: the subscriber is told to load again.
      if (this.#skipped.length > 0) {
        this.rotate()
        return
      }
      tape.record(text)
      this.#pipe?.write(text)
    }
  }

  #skips(text: string, cursor: string): boolean {
    const { event, id, isEmpty } = readBlock(text)
    if (isEmpty || event === 'closing') return false
    if (event !== 'resync' && id === undefined) {
      this.#skipped.push(text)
      return true
    }
    if (id !== undefined && (id === cursor || isBefore(id, cursor))) {
      this.#skipped = []
      return true
    }
    if (event === 'resync') this.#skipped = []
    this.#skipTo = undefined
    return false
  }
}
