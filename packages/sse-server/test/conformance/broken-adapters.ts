import type {
  Adapter,
  Cursor,
  LogListener,
  LogPage,
  LogRecord,
  MemoryAdapter,
  OpenLog,
  Retention,
} from '@entitycast/sse-server'

/** Adapters that each break one word of the contract: the suite must find every one of them. */

class Wrapped implements Adapter {
  readonly inner: MemoryAdapter
  readonly manifest

  constructor(inner: MemoryAdapter) {
    this.inner = inner
    this.manifest = inner.manifest
  }

  start(retention: Retention): void {
    this.inner.start(retention)
  }

  append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return this.inner.append(projectId, records)
  }

  open(projectId: string, listener: LogListener): Promise<OpenLog> {
    return this.inner.open(projectId, listener)
  }

  read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    return this.inner.read(projectId, after, limit)
  }

  close(): Promise<void> {
    return this.inner.close()
  }
}

/** Gives what it has of an expired range, as if it were all. */
class PartialReplay extends Wrapped {
  override async read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    const page = await super.read(projectId, after, limit)
    if (!('gap' in page) || page.gap !== 'expired') return page
    for (let offset = after.offset + 1; ; offset++) {
      const later = await super.read(projectId, { ...after, offset }, limit)
      if ('entries' in later) return later
    }
  }
}

/** Answers a cursor beyond the head as if it were at the head. */
class AheadIsHead extends Wrapped {
  override async read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    const page = await super.read(projectId, after, limit)
    return 'gap' in page && page.gap === 'ahead' ? { entries: [] } : page
  }
}

/** Reads by offset alone. */
class EpochIgnored extends Wrapped {
  override async read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    const own = await this.inner.append(projectId, [])
    return super.read(projectId, { ...after, epoch: own.epoch }, limit)
  }
}

/** Begins to listen a moment after it has looked at the head. */
class LateListener extends Wrapped {
  override async open(projectId: string, listener: LogListener): Promise<OpenLog> {
    const head = await this.inner.append(projectId, [])
    await new Promise<void>((resolve) => setImmediate(resolve))
    const log = await super.open(projectId, listener)
    return { head, close: () => log.close() }
  }
}

/** Replays the record at the cursor once more. */
class OffByOne extends Wrapped {
  override read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    return super.read(projectId, { ...after, offset: Math.max(0, after.offset - 1) }, limit)
  }
}

/** Files every project under its name in lower case. */
class FoldedNames extends Wrapped {
  override append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return super.append(projectId.toLowerCase(), records)
  }

  override open(projectId: string, listener: LogListener): Promise<OpenLog> {
    return super.open(projectId.toLowerCase(), listener)
  }

  override read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    return super.read(projectId.toLowerCase(), after, limit)
  }
}

/** Tells each record twice. */
class Twice extends Wrapped {
  override open(projectId: string, listener: LogListener): Promise<OpenLog> {
    return super.open(projectId, {
      entries: (entries) => {
        listener.entries(entries)
        listener.entries(entries)
      },
      doubt: (head, reason) => listener.doubt(head, reason),
    })
  }
}

/** Says yes before it has the record, and tells its listeners whenever it likes. */
class EarlyYes extends Wrapped {
  override async append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    const head = await this.inner.append(projectId, [])
    setImmediate(() => void this.inner.append(projectId, records).catch(() => {}))
    return { epoch: head.epoch, offset: head.offset + records.length }
  }
}

/** Leaves out who may see it. */
class ForgetsAudience extends Wrapped {
  override append(projectId: string, records: readonly LogRecord[]): Promise<Cursor> {
    return super.append(
      projectId,
      records.map(({ users: _, ...record }) => record),
    )
  }
}

/** Goes on after its end. */
class NeverCloses extends Wrapped {
  override async close(): Promise<void> {}
}

/** Cuts a page in front instead of behind. */
class NewestFirst extends Wrapped {
  override async read(projectId: string, after: Cursor, limit: number): Promise<LogPage> {
    const page = await super.read(projectId, after, Number.MAX_SAFE_INTEGER)
    return 'gap' in page ? page : { entries: page.entries.slice(-limit) }
  }
}

/** Keeps more events than it was asked to, without end. */
class KeepsEveryEvent extends Wrapped {
  override start(retention: Retention): void {
    super.start({ ...retention, events: Number.MAX_SAFE_INTEGER })
  }
}

/** Counts no bytes. */
class KeepsEveryByte extends Wrapped {
  override start(retention: Retention): void {
    super.start({ ...retention, bytes: Number.MAX_SAFE_INTEGER })
  }
}

/** Lets go of nothing because it is old. */
class KeepsForEver extends Wrapped {
  override start(retention: Retention): void {
    super.start({ ...retention, ageMs: Number.MAX_SAFE_INTEGER })
  }
}

export const brokenAdapters: Readonly<Record<string, new (inner: MemoryAdapter) => Adapter>> = {
  PartialReplay,
  AheadIsHead,
  EpochIgnored,
  LateListener,
  OffByOne,
  FoldedNames,
  Twice,
  EarlyYes,
  ForgetsAudience,
  NeverCloses,
  NewestFirst,
  KeepsEveryEvent,
  KeepsEveryByte,
  KeepsForEver,
}
