import { describe, expect, it, vi } from 'vitest'
import { type EntityEvent, HandlerIndex, type NamedEvent, patternKeys } from '../../src/index'
import { codeOf } from '../vectors'

const timestamp = '2026-01-31T09:30:00.000Z'
const update: EntityEvent = { type: 'entity.updated', entity: 'document', id: 'doc_1', projectId: 'p1', timestamp }
const batch: EntityEvent = {
  type: 'entity.batch',
  entity: 'document',
  id: null,
  ids: ['doc_1', 'doc_2', 'doc_1'],
  projectId: 'p1',
  timestamp,
}
const lock: NamedEvent = { type: 'lock:acquired', projectId: 'p1', data: null, timestamp }
const never = (error: unknown) => expect.unreachable(String(error))

describe('HandlerIndex', () => {
  it('[N5] calls a handler for the events that its pattern names, and a named event has none', () => {
    const index = new HandlerIndex()
    const seen: string[] = []
    for (const pattern of ['*', 'document:*', 'document:doc_1', 'document:doc_3', 'chunk:*']) {
      index.addPattern(pattern, (event) => seen.push(`${pattern} ${event.type}`))
    }
    index.dispatch(lock, never)
    index.dispatch(update, never)
    expect(seen).toEqual(['* entity.updated', 'document:* entity.updated', 'document:doc_1 entity.updated'])
  })

  it('[W13] calls a handler once for a batch, however often its pattern is named', () => {
    const index = new HandlerIndex()
    const one = vi.fn()
    const all = vi.fn()
    index.addPattern('document:doc_1', one)
    index.addPattern('document:*', all)
    index.dispatch(batch, never)
    expect(one).toHaveBeenCalledTimes(1)
    expect(all).toHaveBeenCalledTimes(1)
  })

  it('[N5] calls the handlers of an entity once for the id *, alone and in a batch', () => {
    const index = new HandlerIndex()
    const handler = vi.fn()
    index.addPattern('document:*', handler)
    index.dispatch({ ...update, id: '*' }, never)
    index.dispatch({ ...batch, ids: ['*', 'doc_1'] }, never)
    expect(handler).toHaveBeenCalledTimes(2)
    expect(patternKeys({ entity: 'document', id: '*' })).toEqual(['*', 'document:*'])
    expect(patternKeys({ entity: 'document', id: null, ids: ['*', 'a'] })).toEqual(['*', 'document:*', 'document:a'])
  })

  it('[N6] calls a handler for the types that its type pattern names, entity events and named ones', () => {
    const index = new HandlerIndex()
    const seen: string[] = []
    for (const pattern of ['*', 'lock:*', 'lock:acquired', 'lock:released', 'entity.*']) {
      index.addType(pattern, () => seen.push(pattern))
    }
    index.dispatch(lock, never)
    index.dispatch(update, never)
    expect(seen).toEqual(['*', 'lock:acquired', 'lock:*', '*', 'entity.*'])
  })

  it('[P2] treats __proto__ and constructor as ids like any other', () => {
    const index = new HandlerIndex()
    const handler = vi.fn()
    index.addPattern('document:__proto__', handler)
    index.addPattern('constructor:*', handler)
    index.dispatch(update, never)
    expect(handler).not.toHaveBeenCalled()
    index.dispatch({ ...update, id: '__proto__' }, never)
    index.dispatch({ ...update, entity: 'constructor' }, never)
    expect(handler).toHaveBeenCalledTimes(2)
  })

  it('[S8] gives what a handler throws to onError, and calls the rest', () => {
    const index = new HandlerIndex()
    const rest = vi.fn()
    const onError = vi.fn()
    const error = new Error('handler')
    index.addType('*', () => {
      throw error
    })
    index.addType('*', rest)
    index.dispatch(update, onError)
    expect(onError.mock.calls).toEqual([[error]])
    expect(rest).toHaveBeenCalledTimes(1)
  })

  it('[S8] gives what an async handler rejects with to onError: nothing is left unhandled', async () => {
    const index = new HandlerIndex()
    const error = new Error('async handler')
    index.addType('*', async () => {
      throw error
    })
    const reported = await new Promise((resolve) => index.dispatch(update, resolve))
    expect(reported).toBe(error)
  })

  it('counts the same function twice where it was added twice, and takes out one registration at a time', () => {
    const index = new HandlerIndex()
    const handler = vi.fn()
    const offs = [index.addPattern('*', handler), index.addPattern('*', handler), index.addType('*', handler)]
    expect(index.size).toBe(3)
    offs[0]?.()
    offs[0]?.()
    expect(index.size).toBe(2)
    index.dispatch(update, never)
    expect(handler).toHaveBeenCalledTimes(2)
    for (const off of offs) off()
    expect(index.size).toBe(0)
  })

  it('[K7] does not call a handler that another one has just taken out', () => {
    const index = new HandlerIndex()
    const second = vi.fn()
    index.addType('*', () => off())
    const off = index.addType('*', second)
    index.dispatch(update, never)
    expect(second).not.toHaveBeenCalled()
  })

  it('does not call a handler that was added during the dispatch', () => {
    const index = new HandlerIndex()
    const late = vi.fn()
    index.addType('*', () => {
      index.addType('*', late)
    })
    index.dispatch(update, never)
    expect(late).not.toHaveBeenCalled()
    index.dispatch(update, never)
    expect(late).toHaveBeenCalledTimes(1)
  })

  it('refuses a pattern that is none when it is added', () => {
    const index = new HandlerIndex()
    expect(codeOf(() => index.addPattern('document', () => {}))).toBe('INVALID_PATTERN')
    expect(codeOf(() => index.addType('lock*', () => {}))).toBe('INVALID_PATTERN')
    expect(index.size).toBe(0)
  })

  it('holds 200,000 handlers of one event', () => {
    const index = new HandlerIndex()
    let calls = 0
    for (let i = 0; i < 200_000; i++) {
      index.addPattern('*', () => {
        calls++
      })
    }
    index.dispatch(update, never)
    expect(calls).toBe(200_000)
  })
})
