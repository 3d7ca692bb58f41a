/**
 * Bugs that others have made, planted one at a time in the real sources: the simulation must find each of them.
 * `from` must be in the file, so that a bug cannot go missing when the code changes.
 */
export const BUGS = [
  {
    name: 'replay begins one event too late',
    file: 'sse-server/src/feed/feed.ts',
    from: ': { offset, lagging: offset < this.head, resync: undefined }',
    to: ': { offset: Math.min(offset + 1, this.head), lagging: true, resync: undefined }',
  },
  {
    name: "the cursor's epoch is ignored",
    file: 'sse-server/src/feed/feed.ts',
    from: "if (epoch !== this.#epoch) return broken('epoch')",
    to: '',
  },
  {
    name: 'a new log has the epoch of the one before',
    file: 'sse-server/src/adapters/memory.ts',
    from: 'epoch: this.#ports.randomId()',
    to: "epoch: 'always-the-same'",
  },
  {
    name: 'a gap in the log is passed over in silence',
    file: 'sse-server/src/feed/connection.ts',
    from: "this.resync(page.gap === 'expired' ? 'overflow' : page.gap)",
    to: 'this.offset = this.feed.head',
  },
  {
    name: 'the window says it reaches one event further back',
    file: 'sse-server/src/seams/window.ts',
    from: 'offset >= this.first - 1 &&',
    to: 'offset >= this.first - 2 &&',
  },
  {
    name: 'the window leaves out the first event after a cursor',
    file: 'sse-server/src/seams/window.ts',
    from: '(offset - this.first + 1)',
    to: '(offset - this.first + 2)',
  },
  {
    name: 'a frame is lost on drain',
    file: 'sse-server/src/feed/connection.ts',
    from: 'this.lagging ||= this.offset < this.feed.head',
    to: 'this.offset = this.feed.head',
  },
  {
    name: 'a write that says "full" counts as not sent',
    file: 'sse-server/src/feed/connection.ts',
    from: 'if (page.chunk) this.#write(page.chunk)',
    to: 'if (page.chunk) this.#write(page.chunk)\n      if (this.#full) this.offset = page.from',
  },
  {
    name: 'a frame that is revoked stays in the queue',
    file: 'sse-server/src/feed/connection.ts',
    from: "if (mustCut && reason !== 'shutdown') this.sink.destroy()",
    to: "if (mustCut && reason === 'slow') this.sink.destroy()",
    also: { file: 'sse-server/src/hub/hub.ts', from: 'if (connection.matches(filter)) connection.destroy()', to: '' },
  },
  {
    name: 'a revocation misses the stream that is still being flushed',
    file: 'sse-server/src/hub/hub.ts',
    from: 'if (connection.matches(filter)) connection.destroy()',
    to: '',
  },
  {
    name: 'a revocation misses the stream that is being opened',
    file: 'sse-server/src/hub/hub.ts',
    from: 'this.#revocations.undo(grant, request.askedAt)',
    to: 'false',
  },
  {
    name: 'the grant is looked at when the stream opens, and never again',
    file: 'sse-server/src/feed/connection.ts',
    from: 'return expiresAt !== Number.POSITIVE_INFINITY && this.feed.clock.monotonic() >= expiresAt',
    to: 'return false',
  },
  {
    name: 'channels are not looked at',
    file: 'sse-server/src/feed/view.ts',
    from: 'if (this.channels && !this.channels.has(record.channel)) return false',
    to: '',
  },
  {
    name: 'the audience is not looked at',
    file: 'sse-server/src/feed/view.ts',
    from: 'return record.users === undefined || (userId !== undefined && record.users.includes(userId))',
    to: 'return true',
  },
  {
    name: "one user's page is given to the next user",
    file: 'sse-server/src/feed/feed.ts',
    from: 'view.keep(restricted ? own : shared, page)',
    to: 'view.keep(shared, page)',
  },
  {
    name: 'a heartbeat claims the head to a reader who is behind',
    file: 'sse-server/src/feed/connection.ts',
    from: 'const atHead = this.offset === this.feed.head && !this.#resync',
    to: 'const atHead = true',
    also: {
      from: 'if (this.#ended || this.#full || this.#expired) return\n    const',
      to: 'if (this.#ended || this.#expired) return\n    const',
    },
  },
  {
    name: '"connected" has a cursor although a resync follows',
    file: 'sse-server/src/feed/connection.ts',
    from: "id: resume === 'resync' ? undefined : formatCursor(this.feed.epoch, this.offset)",
    to: 'id: formatCursor(this.feed.epoch, this.offset)',
    also: {
      file: 'sse-client/src/subscriber/delivery.ts',
      from: "if (resume === 'resync') {",
      to: "if (resume === 'resync') {\n      this.#commit(id)",
    },
  },
  {
    name: 'every frame of a merged page has a cursor',
    file: 'sse-server/src/feed/page.ts',
    from: 'last < earliest ? last : undefined',
    to: 'last',
  },
  {
    name: 'an older update wins over a newer one when they are merged',
    file: 'sse-server/src/feed/conflate.ts',
    from: '{ ...(fieldsOf(previous).data as object), ...(fieldsOf(next).data as object) }',
    to: '{ ...(fieldsOf(next).data as object), ...(fieldsOf(previous).data as object) }',
  },
  {
    name: 'a creation and its deletion cancel each other out',
    file: 'sse-server/src/feed/conflate.ts',
    from: "if (next.record.type === 'entity.deleted') {",
    to: "if (next.record.type === 'entity.deleted') {\n    const undone = earlier.findLast((run) => run.record.type === 'entity.created')\n    if (undone) {\n      undone.dropped = true\n      return undefined\n    }",
  },
  {
    name: 'updates are merged across a batch',
    file: 'sse-server/src/feed/conflate.ts',
    from: "if (record.type === 'entity.batch') endRuns(byKey, fieldsOf(run))",
    to: '',
    also: { from: 'b.version === a.version + 1 ||', to: 'true ||' },
  },
  {
    name: 'a late old version is merged over a newer one',
    file: 'sse-server/src/feed/conflate.ts',
    from: 'if (version !== undefined && earlier.some((run) => (fieldsOf(run).version ?? -1) >= version)) return undefined',
    to: '',
    also: { from: 'b.version === a.version + 1 ||', to: 'true ||' },
  },
  {
    name: 'the client does not compare versions',
    file: 'sse-client/src/subscriber/versions.ts',
    from: 'if (newest !== undefined && version <= newest) return false',
    to: '',
  },
  {
    name: 'rows do not compare versions',
    file: 'sse-client/src/entity/apply.ts',
    from: "return version === undefined || typeof shown !== 'number' || version > shown",
    to: 'return true',
  },
  {
    name: 'the client hands out half a page',
    file: 'sse-client/src/subscriber/delivery.ts',
    from: 'if (id === undefined || stream !== this.#stream) return\n    this.#release',
    to: 'if (stream !== this.#stream) return\n    this.#release',
  },
  {
    name: 'the cursor moves when a frame is read, before the page is handed out',
    file: 'sse-client/src/subscriber/delivery.ts',
    from: 'this.#hold(decodeEvent(',
    to: 'if (this.#cursor && id === undefined) this.#cursor = this.#cursor.replace(/\\d+$/, (offset) => String(Number(offset) + 1))\n      this.#hold(decodeEvent(',
  },
  {
    name: 'what is left of a cut page is handed out with the next stream',
    file: 'sse-client/src/subscriber/delivery.ts',
    from: 'this.#invalidCursorTold = false\n    this.#drop()',
    to: 'this.#invalidCursorTold = false',
  },
  {
    name: 'the client forgets where the page was loaded',
    file: 'sse-client/src/subscriber/delivery.ts',
    from: 'this.#cursor = options.since',
    to: 'this.#cursor = undefined',
  },
  {
    name: 'the client does not miss the heartbeat',
    file: 'sse-client/src/subscriber/connection.ts',
    from: 'this.#wait(silenceMs, () => this.#retry(error))',
    to: 'void error',
  },
  {
    name: 'an old stream speaks after the new one has begun',
    file: 'sse-client/src/subscriber/connection.ts',
    from: 'if (current()) this.#reader.frame(frame)',
    to: 'this.#reader.frame(frame)',
    also: { from: 'reader.cancel().catch(ignore)\n        aborter.abort()', to: '' },
  },
]

/** The sources with the bug in them. Throws where the code has changed and the bug no longer has a place. */
export function plant(bug) {
  const { file, from, to, also } = bug
  const edits = [{ file, from, to }, ...(also ? [{ file, ...also }] : [])]
  const used = new Set()
  const change = (path, contents) => {
    let text = contents
    for (const edit of edits) {
      if (!path.endsWith(edit.file)) continue
      if (!text.includes(edit.from)) throw new Error(`"${bug.name}": ${edit.file} no longer has: ${edit.from}`)
      used.add(edit)
      text = text.replace(edit.from, () => edit.to)
    }
    return text
  }
  return { change, planted: () => used.size === edits.length }
}
