import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BlockSplitter, Tape } from '../../src/bindings/tabs-tape'
import '../../../sse-protocol/test/property/replay'

const block = (id: string | undefined, data = 'x') => `${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`

test('[K1] however a stream is cut, its blocks are the same, and together they are the stream', () => {
  const line = fc.constantFrom('data: a', 'id: e.1', ':', '', 'event: b')
  const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 })
  fc.assert(
    fc.property(stream, fc.array(fc.nat(200), { maxLength: 20 }), (lines, places) => {
      const text = lines.map((pair) => pair.join('')).join('')
      const edges = [0, ...places.filter((place) => place < text.length), text.length].sort((a, b) => a - b)
      const splitter = new BlockSplitter()
      const blocks = edges.slice(1).flatMap((edge, i) => splitter.feed(text.slice(edges[i], edge)))
      expect(blocks.join('') + splitter.take()).toBe(text.replace(/\r\n?/g, '\n'))
      expect(blocks.every((one) => one.endsWith('\n\n') || one === '\n')).toBe(true)
      const whole = new BlockSplitter()
      expect(blocks).toEqual(whole.feed(text))
    }),
  )
})

test('[D3] a page is given out whole, or not at all', () => {
  const tape = new Tape()
  tape.begin('e.0')
  for (const text of [block(undefined, '1'), block('e.2'), block(undefined, '3')]) tape.record(text)
  expect([tape.head, tape.after('e.0')?.length, tape.after('e.1')]).toEqual(['e.2', 3, undefined])
  expect([tape.after('e.2'), tape.tail()]).toEqual([[block(undefined, '3')], [block(undefined, '3')]])
})

test('[D4] its memory is bounded, and it never claims what it has dropped', () => {
  const tape = new Tape()
  tape.begin('e.0')
  for (let i = 1; i <= 1_500; i++) tape.record(block(`e.${i}`))
  expect([tape.has('e.0'), tape.has('e.499'), tape.has('e.500'), tape.after('e.500')?.length]).toEqual([
    false,
    false,
    true,
    1_000,
  ])
  tape.record(block('e.1501', 'x'.repeat(2 ** 20)))
  expect([tape.head, tape.has('e.1500'), tape.after('e.1501')]).toEqual(['e.1501', false, []])
})

test('[D4] a page without an end that is too large proves nothing until the next cursor', () => {
  const tape = new Tape()
  tape.begin('e.0')
  for (let i = 0; i < 1_001; i++) tape.record(block(undefined))
  expect([tape.head, tape.has('e.0')]).toEqual([undefined, false])
  tape.record(block('e.9'))
  expect([tape.head, tape.after('e.9')]).toEqual(['e.9', []])
})

test('a heartbeat at the head, a comment and a goodbye take no room', () => {
  const tape = new Tape()
  tape.begin('e.0')
  for (const text of [`event: heartbeat\n${block('e.0')}`, ':\n\n', `event: closing\n${block(undefined)}`])
    tape.record(text)
  expect(tape.after('e.0')).toEqual([])
})

test('a resync begins anew', () => {
  const tape = new Tape()
  tape.begin('e.0')
  tape.record(`event: resync\n${block('f.7')}`)
  expect([tape.head, tape.has('e.0'), tape.has('f.7')]).toEqual(['f.7', false, true])
})

test('[D2] a page that was cut in the middle, and comes again, is there once', () => {
  const tape = new Tape()
  tape.begin('e.0')
  for (const text of [block('e.1'), block(undefined, '2')]) tape.record(text)
  tape.resume()
  for (const text of [block(undefined, '2'), block('e.3')]) tape.record(text)
  expect(tape.after('e.1')).toEqual([block(undefined, '2'), block('e.3')])
})

test('[D3] a cursor between two others: what comes after it is given out, unless a page of several blocks lies around it', () => {
  const tape = new Tape()
  tape.begin('e.10')
  for (const text of [block('e.14'), block(undefined, 'x'), block('e.18'), block('e.20')]) tape.record(text)
  expect(tape.after('e.12')).toEqual([block('e.14'), block(undefined, 'x'), block('e.18'), block('e.20')])
  expect(tape.after('e.16')).toBeUndefined()
  expect(tape.after('e.19')).toEqual([block('e.20')])
  expect([tape.after('e.9'), tape.after('f.12'), tape.after('e.21')]).toEqual([undefined, undefined, undefined])
  expect([tape.isBehind('e.21'), tape.isBehind('e.20'), tape.isBehind('f.21')]).toEqual([true, false, false])
})
