/** Bugs of the subscriber and of what it tells a page. See `bugs.mjs`.
 *
 * @type {import('./bugs.mjs').Bug[]}
 */
export const CLIENT_BUGS = [
  {
    name: 'the client does not compare versions',
    edits: [
      {
        file: 'sse-client/src/subscriber/versions.ts',
        from: 'if (newest !== undefined && version <= newest) return false',
        to: '',
      },
    ],
  },
  {
    name: 'rows do not compare versions',
    edits: [
      {
        file: 'sse-client/src/entity/apply.ts',
        from: "return version === undefined || typeof shown !== 'number' || version > shown",
        to: 'return true',
      },
    ],
  },
  {
    name: 'the client hands out half a page',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'else if (event) this.#hold(event, data.length)',
        to: 'else if (event) this.#release(id, event)',
      },
    ],
  },
  {
    name: 'the cursor moves when a frame is read, before the page is handed out',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'else if (event) this.#hold(event, data.length)',
        to: 'else if (event) {\n      this.cursor = this.cursor?.replace(/\\d+$/, (offset) => String(Number(offset) + 1))\n      this.#hold(event, data.length)\n    }',
      },
    ],
  },
  {
    name: 'what is left of a cut page is handed out with the next stream',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'this.#invalidCursorTold = false\n    this.#drop()',
        to: 'this.#invalidCursorTold = false',
      },
    ],
  },
  {
    name: 'the client forgets where the page was loaded',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'this.cursor = since',
        to: 'this.cursor = undefined',
      },
    ],
  },
  {
    name: 'the client does not miss the heartbeat',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: 'this.#wait(silenceMs, () => this.#retry(error))',
        to: 'void error',
      },
    ],
  },
  {
    name: 'an old stream speaks after the new one has begun',
    edits: [
      {
        file: 'sse-client/src/subscriber/attempt.ts',
        from: 'if (!this.#abandoned) this.to.frame(frame)',
        to: 'this.to.frame(frame)',
      },
      {
        file: 'sse-client/src/subscriber/attempt.ts',
        from: 'reader.cancel().catch(ignore)\n        aborter.abort()',
        to: '',
      },
    ],
  },
  {
    name: 'Retry-After is ignored',
    edits: [
      {
        file: 'sse-client/src/retry/answer.ts',
        from: "minimumMs: parseRetryAfter(headers.get('retry-after'), nowMs)",
        to: 'minimumMs: 0',
      },
    ],
  },
  {
    name: 'a cursor that the server refused is kept',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: "this.cursor = undefined\n    this.#owed = 'bad-cursor'",
        to: "this.#owed = 'bad-cursor'",
      },
    ],
  },
  {
    name: 'a cursor is given up, and no resync told',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: "this.cursor = undefined\n    this.#owed = 'bad-cursor'",
        to: 'this.cursor = undefined\n    this.#begun = false',
      },
    ],
  },
  {
    name: 'the same headers are sent after a 401',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: "this.#refreshed = true\n      this.#reason = 'unauthorized'",
        to: 'this.#refreshed = true',
      },
    ],
  },
  {
    name: 'a resync moves the cursor, and nobody is told',
    edits: [{ file: 'sse-client/src/subscriber/delivery.ts', from: 'if (reason) this.#gate.ask(reason)', to: '' }],
  },
  {
    name: 'a handler that closes gets the rest of the page',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'this.#give(one)\n        if (stream !== this.#stream) return',
        to: 'this.#give(one)',
      },
    ],
  },
  {
    name: 'a page is thrown away, and the cursor moves',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'for (const one of page) {',
        to: 'for (const one of page.slice(1)) {',
      },
    ],
  },
  {
    name: 'close() leaves a timer',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: 'this.#alarm?.cancel()\n    this.#alarm = undefined\n    this.nextRetryAt',
        to: 'this.nextRetryAt',
      },
    ],
  },
  {
    name: 'waking up opens a second stream',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: "if (this.#phase !== 'streaming') return\n    // Away",
        to: "if (this.#phase !== 'streaming') return\n    this.#present = undefined\n    // Away",
      },
    ],
  },
  {
    name: 'events do not wait until the data is loaded again',
    edits: [
      { file: 'sse-client/src/subscriber/delivery.ts', from: 'if (!this.#gate.shut) return false', to: 'return false' },
    ],
  },
  {
    name: 'what waits behind a resync is lost',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'if (this.#skipping) this.#dropWaiting()',
        to: 'this.#dropWaiting()',
      },
    ],
  },
  {
    name: 'what came while the data was loaded again is forgotten',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'for (const frame of frames) {',
        to: 'for (const frame of []) {',
      },
    ],
  },
  {
    name: 'the cursor moves to the place of a resync that is not told yet',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'this.#resyncTo = id\n    if (this.#live)',
        to: 'this.#commit(id)\n    if (this.#live)',
      },
    ],
  },
  {
    name: 'the next stream goes on somewhere else than where the old one stands',
    edits: [
      { file: 'sse-client/src/subscriber/connection.ts', from: 'return this.#renewal?.hold', to: 'return undefined' },
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'if (id === undefined || id !== this.cursor) return',
        to: 'if (id === undefined) return',
      },
    ],
  },
  {
    name: 'a stream is renewed, and the old one is kept',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: 'this.#present?.abandon()\n      this.#present = next',
        to: 'this.#present = next',
      },
    ],
  },
  {
    name: 'half a page of the old stream is handed out with the next one',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'this.#drop()\n    this.#connected = connected\n    return connected',
        to: 'this.#connected = connected\n    return connected',
      },
    ],
  },
  {
    name: 'a renewal outlives its stream',
    edits: [{ file: 'sse-client/src/subscriber/connection.ts', from: 'this.#renewal?.cancel()', to: '' }],
  },
  {
    name: 'a stream that is not renewed is not read on',
    edits: [{ file: 'sse-client/src/subscriber/renewal.ts', from: 'this.#release?.()', to: '' }],
  },
]
