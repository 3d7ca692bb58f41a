/** Bugs of connections, grants and the end of a server. See `bugs.mjs`.
 *
 * @type {import('./bugs.mjs').Bug[]}
 */
export const SERVER_BUGS = [
  {
    name: 'a gap in the log is passed over in silence',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: "this.resync(page.gap === 'expired' ? 'overflow' : page.gap)",
        to: 'this.offset = this.feed.head',
      },
    ],
  },
  {
    name: 'a frame is lost on drain',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'this.lagging ||= this.offset < this.feed.head',
        to: 'this.offset = this.feed.head',
      },
    ],
  },
  {
    name: 'a write that says "full" counts as not sent',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'this.offset = page.to\n      if (page.chunk) this.#write(page.chunk)',
        to: 'const before = this.offset\n      this.offset = page.to\n      if (page.chunk) this.#write(page.chunk)\n      if (this.#full) this.offset = before',
      },
    ],
  },
  {
    name: 'a frame that is revoked stays in the queue',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: "if (mustCut && reason !== 'shutdown') this.sink.destroy()",
        to: "if (mustCut && reason === 'slow') this.sink.destroy()",
      },
      { file: 'sse-server/src/hub/streams.ts', from: 'if (connection.matches(filter)) connection.destroy()', to: '' },
    ],
  },
  {
    name: 'a revocation misses the stream that is still being flushed',
    edits: [
      { file: 'sse-server/src/hub/streams.ts', from: 'if (connection.matches(filter)) connection.destroy()', to: '' },
    ],
  },
  {
    name: 'a revocation misses the stream that is being opened',
    edits: [
      {
        file: 'sse-server/src/hub/opening.ts',
        from: 'this.streams.revocations.undo(asked, request.askedAt)',
        to: 'false',
      },
    ],
  },
  {
    name: 'the grant is looked at when the stream opens, and never again',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'return this.#expiresAt !== undefined && this.feed.clock.monotonic() >= this.#expiresAt',
        to: 'return false',
      },
    ],
  },
  {
    name: 'a heartbeat claims the head to a reader who is behind',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'const atHead = this.offset === this.feed.head && !this.#resync',
        to: 'const atHead = true',
      },
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'if (this.#ended || this.#full || this.#expired) return\n    const',
        to: 'if (this.#ended || this.#expired) return\n    const',
      },
    ],
  },
  {
    name: '"connected" has a cursor although a resync follows',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: "id: resume === 'resync' ? undefined : formatCursor(this.feed.epoch, this.offset)",
        to: 'id: formatCursor(this.feed.epoch, this.offset)',
      },
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: "if (resume === 'resync') {",
        to: "if (resume === 'resync') {\n      commit(id)",
      },
    ],
  },
  {
    name: 'a read that failed is not tried again',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'this.#reading = false\n        if (!this.#failing)',
        to: 'if (!this.#failing)',
      },
    ],
  },
  {
    name: 'a page that was read after the expiry is written',
    edits: [{ file: 'sse-server/src/feed/connection.ts', from: '&& !this.#ended && !this.#expired', to: '' }],
  },
  {
    name: 'the end of a grant is looked at only when there is something to write',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: "if (this.#expiresAt !== undefined && now >= this.#expiresAt) return 'expired'",
        to: '',
      },
    ],
  },
  {
    name: 'a grant that ends while the log is asked opens a stream',
    edits: [
      {
        file: 'sse-server/src/hub/opening.ts',
        from: "if (now >= ends) throw new HubError('UNAUTHORIZED', 'The grant has expired')",
        to: '',
      },
    ],
  },
  {
    name: "a grant's end moves with the system's clock",
    edits: [
      { file: 'sse-server/src/hub/grant.ts', from: 'expiresAt - clock.now()', to: 'expiresAt' },
      {
        file: 'sse-server/src/hub/grant.ts',
        from: 'if (lifetimeMs <= 0) throw',
        to: 'if (lifetimeMs <= clock.now()) throw',
      },
      {
        file: 'sse-server/src/hub/opening.ts',
        from: 'const ends = now + lifetimeMs',
        to: 'const ends = lifetimeMs',
      },
      {
        file: 'sse-server/src/hub/opening.ts',
        from: 'if (now >= ends) throw',
        to: 'if (this.ports.clock.now() >= ends) throw',
      },
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'if (this.#expiresAt !== undefined && now >= this.#expiresAt)',
        to: 'if (this.#expiresAt !== undefined && this.feed.clock.now() >= this.#expiresAt)',
      },
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'this.feed.clock.monotonic() >= this.#expiresAt',
        to: 'this.feed.clock.now() >= this.#expiresAt',
      },
    ],
  },
  {
    name: 'a heartbeat is written before anybody was asked',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: 'this.#askedAt = this.feed.clock.monotonic()\n    void',
        to: 'this.#writeBeat(frames)\n    this.#askedAt = this.feed.clock.monotonic()\n    void',
      },
    ],
  },
  {
    name: 'a refusal before a heartbeat ends nothing',
    edits: [
      { file: 'sse-server/src/feed/connection.ts', from: "else this.close(failed ? 'expired' : 'revoked')", to: '' },
    ],
  },
  {
    name: 'a full socket is written to',
    edits: [
      { file: 'sse-server/src/feed/connection.ts', from: 'this.#full = true\n    this.#unsent', to: 'this.#unsent' },
    ],
  },
  {
    name: 'a socket that takes nothing is never closed',
    edits: [
      {
        file: 'sse-server/src/feed/connection.ts',
        from: "if (now - this.#stalledAt >= stallMs) return 'slow'",
        to: '',
      },
    ],
  },
  {
    name: 'a server that shuts down takes new streams',
    edits: [
      { file: 'sse-server/src/hub/admission.ts', from: 'if (isDraining) throw this.draining()', to: '' },
      {
        file: 'sse-server/src/hub/opening.ts',
        from: 'if (this.host.draining()) throw this.admission.draining()',
        to: '',
      },
    ],
  },
  {
    name: 'close() leaves the last stream of each wave',
    edits: [
      {
        file: 'sse-server/src/hub/streams.ts',
        from: 'for (const connection of [...this.registry, ...this.leaving]) connection.destroy()',
        to: '',
      },
      { file: 'sse-server/src/hub/drain.ts', from: 'due)) {', to: 'due - 1)) {' },
    ],
  },
]
