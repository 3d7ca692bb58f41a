/** Bugs of the log, of feeds, and of what is merged for readers who are behind. See `bugs.mjs`.
 *
 * @type {import('./bugs.mjs').Bug[]}
 */
export const LOG_BUGS = [
  {
    name: 'replay begins one event too late',
    edits: [
      {
        file: 'sse-server/src/feed/feed.ts',
        from: ': { offset, lagging: offset < this.head, resync: undefined }',
        to: ': { offset: Math.min(offset + 1, this.head), lagging: true, resync: undefined }',
      },
    ],
  },
  {
    name: "the cursor's epoch is ignored",
    edits: [{ file: 'sse-server/src/feed/feed.ts', from: "if (epoch !== this.#epoch) return broken('epoch')", to: '' }],
  },
  {
    name: 'a new log has the epoch of the one before',
    edits: [
      {
        file: 'sse-server/src/adapters/memory.ts',
        from: 'epoch: this.#ports.randomId()',
        to: "epoch: 'always-the-same'",
      },
    ],
  },
  {
    name: 'the window says it reaches one event further back',
    edits: [
      {
        file: 'sse-server/src/seams/window.ts',
        from: 'offset >= this.first - 1 &&',
        to: 'offset >= this.first - 2 &&',
      },
    ],
  },
  {
    name: 'the window leaves out the first event after a cursor',
    edits: [{ file: 'sse-server/src/feed/feed.ts', from: 'this.#window, from + 1', to: 'this.#window, from + 2' }],
  },
  {
    name: 'channels are not looked at',
    edits: [
      {
        file: 'sse-server/src/feed/span.ts',
        from: 'channels ? taken.filter(({ record }) => channels.has(record.channel)) : taken',
        to: 'taken',
      },
    ],
  },
  {
    name: 'the audience is not looked at',
    edits: [
      {
        file: 'sse-server/src/feed/span.ts',
        from: 'if (this.#entries.some(({ record }) => record.users)) this.#audiences',
        to: 'if (taken.length < 0) this.#audiences',
      },
    ],
  },
  {
    name: "one user's page is given to the next user",
    edits: [
      {
        file: 'sse-server/src/feed/span.ts',
        from: 'const kind = audiences.kindOf(userId)',
        to: 'const kind = [...(this.#pages?.keys() ?? [audiences.kindOf(userId)])][0] as Kind',
      },
    ],
  },
  {
    name: 'every frame of a merged page has a cursor',
    edits: [{ file: 'sse-server/src/feed/page.ts', from: 'last < earliest ? last : undefined', to: 'last' }],
  },
  {
    name: 'an older update wins over a newer one when they are merged',
    edits: [
      {
        file: 'sse-server/src/feed/conflate.ts',
        from: '{ ...(fieldsOf(previous).data as object), ...(fieldsOf(next).data as object) }',
        to: '{ ...(fieldsOf(next).data as object), ...(fieldsOf(previous).data as object) }',
      },
    ],
  },
  {
    name: 'a creation and its deletion cancel each other out',
    edits: [
      {
        file: 'sse-server/src/feed/conflate.ts',
        from: "if (next.record.type === 'entity.deleted') {",
        to: "if (next.record.type === 'entity.deleted') {\n    const undone = line.standing.findLast((run) => run.record.type === 'entity.created')\n    if (undone) {\n      undone.dropped = true\n      return false\n    }",
      },
    ],
  },
  {
    name: 'updates are merged across a batch',
    edits: [
      {
        file: 'sse-server/src/feed/conflate.ts',
        from: "if (record.type === 'entity.batch') endLines(lines, fieldsOf(run))",
        to: '',
      },
    ],
  },
  {
    name: 'a late old version is merged over a newer one',
    edits: [
      {
        file: 'sse-server/src/feed/conflate.ts',
        from: 'if (version !== undefined && version <= newest) return false',
        to: '',
      },
    ],
  },
  {
    name: 'an old update comes back inside a newer one',
    edits: [
      {
        file: 'sse-server/src/feed/conflate.ts',
        from: 'if (a.version === undefined || b.version === a.version + 1) return true',
        to: 'return true',
      },
    ],
  },
  {
    name: 'a merged update has the version of the first',
    edits: [
      {
        file: 'sse-server/src/feed/conflate.ts',
        from: '...fieldsOf(next),\n    data:',
        to: '...fieldsOf(next),\n    version: fieldsOf(previous).version,\n    data:',
      },
    ],
  },
  {
    name: 'facts overtake the updates of a merged page',
    edits: [
      {
        file: 'sse-server/src/feed/conflate.ts',
        from: 'return runs.filter((run) => !run.dropped)',
        to: 'const left = runs.filter((run) => !run.dropped)\n  return [...left.filter(({ record }) => record.key === undefined), ...left.filter(({ record }) => record.key !== undefined)]',
      },
    ],
  },
  {
    name: 'facts are merged like updates',
    edits: [
      {
        file: 'sse-server/src/hub/publisher.ts',
        from: 'if (conflateKey === undefined) return undefined',
        to: `if (conflateKey === undefined) return \`\${event.type}\\n\``,
      },
    ],
  },
  {
    name: 'a page is given to a reader at another place',
    edits: [
      {
        file: 'sse-server/src/feed/view.ts',
        from: 'last && last.from === from && last.conflated === conflated',
        to: 'last && last.conflated === conflated',
      },
    ],
  },
  {
    name: 'what came while the log was opened is forgotten',
    edits: [{ file: 'sse-server/src/feed/feed.ts', from: 'for (const told of early) told()', to: 'early.length = 0' }],
  },
  {
    name: 'a doubt of the log is not told to those who are connected',
    edits: [
      {
        file: 'sse-server/src/feed/feed.ts',
        from: '.resync(reason)\n    for (const listener',
        to: '\n    for (const listener',
      },
    ],
  },
  {
    name: 'pages have no end',
    edits: [{ file: 'sse-server/src/feed/page.ts', from: 'if (bytes > PAGE_BYTES && taken.length > 0) break', to: '' }],
  },
]
