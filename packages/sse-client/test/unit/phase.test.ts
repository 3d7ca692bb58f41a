import { expect, test } from 'vitest'
import { NEXT, type Phase, type Signal } from '../../src/subscriber/phase'

const phases: Phase[] = ['closed', 'requesting', 'streaming', 'waiting']
const signals: Signal[] = ['connect', 'hold', 'close', 'live', 'renew', 'lost', 'retry', 'stop']

const steps = [
  'closed connect requesting',
  'closed hold waiting',
  'requesting close closed',
  'requesting live streaming',
  'requesting lost waiting',
  'requesting retry requesting',
  'requesting stop closed',
  'streaming close closed',
  'streaming lost waiting',
  'streaming renew streaming',
  'streaming retry requesting',
  'streaming stop closed',
  'waiting close closed',
  'waiting retry requesting',
]

test('[L5] these steps are all that there are', () => {
  const found: string[] = []
  for (const phase of phases) {
    for (const signal of signals) if (NEXT[phase][signal]) found.push(`${phase} ${signal} ${NEXT[phase][signal]}`)
  }
  expect(Object.keys(NEXT).sort()).toEqual([...phases].sort())
  expect(found.sort()).toEqual([...steps].sort())
})

test('[K7] from everywhere close leads to closed, and only the end of every pause leads out', () => {
  for (const phase of phases) if (phase !== 'closed') expect(NEXT[phase].close).toBe('closed')
  expect(signals.filter((signal) => NEXT.closed[signal])).toEqual(['connect', 'hold'])
})
