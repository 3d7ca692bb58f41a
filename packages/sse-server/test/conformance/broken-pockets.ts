import {
  type Adapter,
  type AdapterStatus,
  type Cursor,
  type LogListener,
  type LogRecord,
  MemoryAdapter,
  type OpenLog,
} from '@entitycast/sse-server'
import { PocketAdapter, PocketBroker, type PocketMessage } from './pocket'

/* Adapters over a broker that each break one word of the contract, where one process alone, or a broker that never fails, would not show it. */

/** Tells a message whenever it comes. */
class TellsTwice extends PocketAdapter {
  protected override hear(message: PocketMessage): void {
    const live = this.lives.get(message.projectId)
    const isLast = live?.epoch === message.epoch && message.first + message.records.length - 1 === live.last
    if (live && isLast) live.last = message.first - 1
    super.hear(message)
  }
}

/** Goes on after a hole as if nothing were missing. */
class SkipsHoles extends PocketAdapter {
  protected override hear(message: PocketMessage): void {
    const live = this.lives.get(message.projectId)
    if (live && message.epoch === live.epoch && message.first > live.last) live.last = message.first - 1
    super.hear(message)
  }
}

/** Finds out that a message was lost only when another one comes. */
class WaitsForTheNext extends PocketAdapter {
  protected override async round(): Promise<void> {
    await this.call(() => this.broker.ask(async () => {})).catch(() => {})
  }
}

/** Tells its readers to resync where it could have read what was missing. */
class DoubtsAtOnce extends PocketAdapter {
  protected override hear(message: PocketMessage): void {
    const live = this.lives.get(message.projectId)
    if (live && message.epoch === live.epoch && message.first > live.last + 1) {
      this.jump(live, { epoch: live.epoch, offset: message.first - 1 }, 'broker-gap')
    }
    super.hear(message)
  }
}

/** Goes on in another log, and tells nobody. */
class SilentlyElsewhere extends PocketAdapter {
  protected override jump(live: Parameters<PocketAdapter['jump']>[0], head: Cursor): void {
    live.epoch = head.epoch
    live.last = head.offset
  }
}

/** After the broker was away it goes on at the head. */
class ForgetsTheOutage extends PocketAdapter {
  #wasAway = false

  protected override away(): Error {
    this.#wasAway = true
    return super.away()
  }

  protected override async sync(...[projectId, live]: Parameters<PocketAdapter['sync']>): Promise<void> {
    if (this.#wasAway && this.status() === 'ok') {
      this.#wasAway = false
      const head = await this.call(() => this.broker.ask((store) => store.append(projectId, []))).catch(() => undefined)
      if (head) {
        live.epoch = head.epoch
        live.last = head.offset
      }
    }
    return super.sync(projectId, live)
  }
}

/** Keeps what it cannot append, says yes, and loses it. */
class SaysYesMeanwhile extends PocketAdapter {
  override append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return super.append(projectId, records).catch((error) => {
      const live = this.lives.get(projectId)
      if (this.status() === 'ok' || !live) throw error
      return { epoch: live.epoch, offset: live.last + records.length }
    })
  }
}

/** Has no limit to its patience. */
class WaitsForEver extends PocketAdapter {
  protected override timeoutMs = 2_000_000
}

class AlwaysFine extends PocketAdapter {
  override status(): AdapterStatus {
    return 'ok'
  }
}

class NeverFine extends PocketAdapter {
  override status(): AdapterStatus {
    return 'degraded'
  }
}

class ErrorsWithoutCode extends PocketAdapter {
  protected override away(): Error {
    return new Error('away')
  }
}

class TellsItsPassword extends PocketAdapter {
  protected override away(): Error {
    return Object.assign(super.away(), { address: 'pocket://somebody:secret@broker' })
  }
}

/** Each instance has a log of its own, and says that they share one. */
class KeepsToItself extends PocketAdapter {
  constructor(broker: PocketBroker) {
    super(new PocketBroker())
    void broker
  }
}

/** What is no message ends its listening. */
class DiesOfGarbage extends PocketAdapter {
  override start(...args: Parameters<Adapter['start']>): void {
    super.start(...args)
    const [ear] = [...this.broker.ears].slice(-1)
    this.broker.ears.delete(ear!)
    let isDead = false
    this.broker.ears.add((message) => {
      isDead ||= typeof message !== 'object' || message === null
      if (!isDead) ear!(message)
    })
  }

  protected override async round(): Promise<void> {}
}

/** Asks where the log ends, and begins to listen there a moment later. */
class BeginsLate extends PocketAdapter {
  override async open(projectId: string, listener: LogListener): Promise<OpenLog> {
    const { epoch, offset } = await this.broker.append(projectId, [])
    await new Promise<void>((resolve) => setTimeout(resolve, 5))
    const log = await super.open(projectId, listener)
    return { ...log, head: { epoch, offset } }
  }
}

export const brokenPockets: Readonly<Record<string, new (broker: PocketBroker) => Adapter>> = {
  TellsTwice,
  SkipsHoles,
  WaitsForTheNext,
  DoubtsAtOnce,
  SilentlyElsewhere,
  ForgetsTheOutage,
  SaysYesMeanwhile,
  WaitsForEver,
  AlwaysFine,
  NeverFine,
  ErrorsWithoutCode,
  TellsItsPassword,
  KeepsToItself,
  DiesOfGarbage,
  BeginsLate,
}

/** Gives a log that it has lost the name that it had before. */
export function oneEpochForEver(): () => MemoryAdapter {
  return () => {
    let nth = 0
    return new MemoryAdapter({ randomId: () => `the-same-${nth++}` })
  }
}
