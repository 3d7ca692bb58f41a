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
        from: 'if (last !== undefined && version <= last) return false',
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
        from: 'else if (event) hold(event, data.length)',
        to: 'else if (event) release(id, event)',
      },
    ],
  },
  {
    name: 'the cursor moves when a frame is read, before the page is handed out',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'else if (event) hold(event, data.length)',
        to: 'else if (event) {\n      place = place?.replace(/\\d+$/, (offset) => String(Number(offset) + 1))\n      hold(event, data.length)\n    }',
      },
    ],
  },
  {
    name: 'what is left of a cut page is handed out with the next stream',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'live = false\n    drop()',
        to: 'live = false',
      },
    ],
  },
  {
    name: 'the client forgets where the page was loaded',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'let { projectId, since: place } = settings',
        to: 'let { projectId } = settings\n  let place: string | undefined',
      },
    ],
  },
  {
    name: 'the client does not miss the heartbeat',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: 'if (heartbeatMs > 0)',
        to: 'if (heartbeatMs < 0)',
      },
    ],
  },
  {
    name: 'an old stream speaks after the new one has begun',
    edits: [
      {
        file: 'sse-client/src/subscriber/attempt.ts',
        from: 'attempt.to?.frame(frame)',
        to: 'to.frame(frame)',
      },
      {
        file: 'sse-client/src/subscriber/attempt.ts',
        from: 'void release?.()\n      aborter.abort()',
        to: '',
      },
    ],
  },
  {
    name: 'Retry-After is ignored',
    edits: [
      {
        file: 'sse-client/src/retry/answer.ts',
        from: "parseRetryAfter(headers.get('retry-after'), nowMs)",
        to: '0',
      },
    ],
  },
  {
    name: 'a cursor that the server refused is kept',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: "place = undefined\n    owed = 'bad-cursor'",
        to: "owed = 'bad-cursor'",
      },
    ],
  },
  {
    name: 'a cursor is given up, and no resync told',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: "place = undefined\n    owed = 'bad-cursor'",
        to: 'place = undefined\n    begun = false',
      },
    ],
  },
  {
    name: 'the same headers are sent after a 401',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: "refreshed = true\n        reason = 'unauthorized'",
        to: 'refreshed = true',
      },
    ],
  },
  {
    name: 'a resync moves the cursor, and nobody is told',
    edits: [{ file: 'sse-client/src/subscriber/delivery.ts', from: 'if (reason) gate.ask(reason)', to: '' }],
  },
  {
    name: 'a handler that closes gets the rest of the page',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'give(one)\n        if (mine !== stream) return',
        to: 'give(one)',
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
        from: 'alarm?.cancel()\n      renewal = alarm',
        to: 'renewal = alarm',
      },
    ],
  },
  {
    name: 'waking up opens a second stream',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: "if ((restored && phase === 'streaming')",
        to: "if (phase === 'streaming') present = undefined\n    if ((restored && phase === 'streaming')",
      },
    ],
  },
  {
    name: 'events do not wait until the data is loaded again',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'if (gate.isShut()) postpone',
        to: 'if (!greeting) postpone',
      },
    ],
  },
  {
    name: 'what waits behind a resync is lost',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'if (skipping) dropWaiting()',
        to: 'dropWaiting()',
      },
    ],
  },
  {
    name: 'what came while the data was loaded again is forgotten',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'for (const one of frames) {',
        to: 'for (const one of []) {',
      },
    ],
  },
  {
    name: 'the cursor moves to the place of a resync that is not told yet',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'resyncTo = id\n    owed = reason',
        to: 'commit(id)\n    owed = reason',
      },
    ],
  },
  {
    name: 'the next stream goes on somewhere else than where the old one stands',
    edits: [
      { file: 'sse-client/src/subscriber/connection.ts', from: 'return renewal?.hold', to: 'return undefined' },
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'if (id === undefined || id !== cursor()) return',
        to: 'if (id === undefined) return',
      },
    ],
  },
  {
    name: 'a stream is renewed, and the old one is kept',
    edits: [
      {
        file: 'sse-client/src/subscriber/connection.ts',
        from: 'present?.abandon()\n          present = next',
        to: 'present = next',
      },
    ],
  },
  {
    name: 'half a page of the old stream is handed out with the next one',
    edits: [
      {
        file: 'sse-client/src/subscriber/delivery.ts',
        from: 'drop()\n    greeting = connected\n    return connected',
        to: 'greeting = connected\n    return connected',
      },
    ],
  },
  {
    name: 'a renewal outlives its stream',
    edits: [{ file: 'sse-client/src/subscriber/connection.ts', from: 'renewal?.cancel()', to: '' }],
  },
  {
    name: 'a stream that is not renewed is not read on',
    edits: [{ file: 'sse-client/src/subscriber/renewal.ts', from: 'release?.()', to: '' }],
  },
]
