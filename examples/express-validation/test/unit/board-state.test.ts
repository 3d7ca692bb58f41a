import { describe, expect, it } from 'vitest'
import type { Bootstrap } from '../../shared/api'
import type { Submission } from '../../shared/events'
import { type BoardAction, type BoardEvent, boardFrom, boardReducer } from '../../web/board-state'

const submission = (id: string, version: number, status: Submission['status'] = 'pending'): Submission => ({
  id,
  title: `KYC file ${id}`,
  kind: 'KYC file',
  participant: 'Ada Example',
  facts: [],
  submittedBy: 'kim',
  submittedAt: '2026-01-01T00:00:00Z',
  dueAt: '2026-01-02T00:00:00Z',
  status,
  decidedBy: null,
  decidedAt: null,
  comment: null,
  version,
})

const bootstrap = (submissions: Submission[], locks: Bootstrap['locks'] = []): Bootstrap => ({
  user: { id: 'kim', name: 'Kim Osei', role: 'reviewer' },
  tenant: { id: 'harbor-bank', name: 'Harbor Bank', tagline: '' },
  team: [],
  kinds: [],
  submissions,
  locks,
  cursor: 'epoch.1',
  lockTtlMs: 1,
  flags: { sseUpdates: true },
})

const fields = { projectId: 'harbor-bank', timestamp: '2026-01-01T00:00:00Z' }
const updated = (id: string, version: number, status: Submission['status']): BoardAction => ({
  kind: 'event',
  event: { type: 'entity.updated', entity: 'submission', id, version, data: { status, version }, ...fields },
})
const lock = (type: 'lock:acquired' | 'lock:released', submissionId: string): BoardAction => ({
  kind: 'event',
  event: { type, data: { submissionId, userId: 'dana' }, ...fields } as BoardEvent,
})

const after = (first: Bootstrap, ...actions: BoardAction[]) => actions.reduce(boardReducer, boardFrom(first))
const states = (board: { submissions: Submission[] }) =>
  board.submissions.map(({ id, status, version }) => [id, status, version])

describe('the board', () => {
  it('[state] follows updates, creations and deletions', () => {
    const created: BoardAction = {
      kind: 'event',
      event: { type: 'entity.created', entity: 'submission', id: 'c', version: 1, data: submission('c', 1), ...fields },
    }
    const deleted: BoardAction = {
      kind: 'event',
      event: { type: 'entity.deleted', entity: 'submission', id: 'a', ...fields },
    }
    const board = after(
      bootstrap([submission('a', 1), submission('b', 1)]),
      updated('b', 2, 'approved'),
      created,
      deleted,
    )
    expect(states(board)).toEqual([
      ['b', 'approved', 2],
      ['c', 'pending', 1],
    ])
  })

  it('[state] never goes backwards: a replayed event that is older than the loaded row changes nothing', () => {
    const loaded = bootstrap([submission('a', 3, 'rejected')])
    expect(states(after(loaded, updated('a', 2, 'approved'), updated('a', 3, 'rejected')))).toEqual([
      ['a', 'rejected', 3],
    ])
    expect(states(after(loaded, updated('a', 2, 'approved')))).toEqual([['a', 'rejected', 3]])
  })

  it('[state] an answer that is older than what the stream brought changes nothing', () => {
    const board = after(bootstrap([submission('a', 1)]), updated('a', 3, 'pending'), {
      kind: 'answer',
      submission: submission('a', 2, 'approved'),
    })
    expect(states(board)).toEqual([['a', 'pending', 3]])
  })

  it('[state] what arrives during a reload is put on top of its answer, where it is newer', () => {
    const board = after(
      bootstrap([submission('a', 1), submission('b', 1)]),
      { kind: 'reloading' },
      updated('a', 2, 'approved'),
      updated('b', 2, 'approved'),
      lock('lock:acquired', 'a'),
      lock('lock:acquired', 'b'),
      lock('lock:released', 'b'),
      { kind: 'reloaded', bootstrap: bootstrap([submission('a', 1), submission('b', 3)]) },
    )
    expect(states(board)).toEqual([
      ['a', 'approved', 2],
      ['b', 'pending', 3],
    ])
    expect(board.locks).toEqual({ a: 'dana' })
    expect(board.arrived).toBeNull()
  })

  it('[state] a reload that fails leaves what is there', () => {
    const board = after(bootstrap([submission('a', 1)]), { kind: 'reloading' }, updated('a', 2, 'approved'), {
      kind: 'reload-failed',
    })
    expect(states(board)).toEqual([['a', 'approved', 2]])
    expect(board.arrived).toBeNull()
  })

  it('[state] shows who reviews what, from the load and from the stream', () => {
    const loaded = bootstrap([submission('a', 1)], [{ submissionId: 'a', userId: 'lee' }])
    expect(after(loaded).locks).toEqual({ a: 'lee' })
    expect(after(loaded, lock('lock:released', 'a')).locks).toEqual({})
    expect(after(loaded, lock('lock:released', 'a'), lock('lock:acquired', 'a')).locks).toEqual({ a: 'dana' })
  })
})
