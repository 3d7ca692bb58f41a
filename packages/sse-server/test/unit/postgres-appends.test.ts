import { afterEach, expect, it, vi } from 'vitest'
import { Appends } from '../../src/adapters/postgres-appends'
import type { Link } from '../../src/adapters/postgres-link'

/*
 * Appends to a database that answers as the test says.
 */

afterEach(() => vi.restoreAllMocks())

const record = { type: 'a:b', data: '{}', channel: 'default' }
const full = () => Object.assign(new Error('too many notifications'), { code: '54000' })

/** `refuses` is asked with each statement that would tell of what it appends. The statements say whether they told. */
function appendsTo(refuses: (appends: Appends) => boolean) {
  const told: boolean[] = []
  const wire = {
    server: 's',
    write: async ({ values }: { values: unknown[] }) => {
      const tells = values[6] !== null
      told.push(tells)
      if (tells && refuses(appends)) throw full()
      return [{ epoch: 'e', head: '1', before: '' }]
    },
  }
  const appends: Appends = new Appends({
    link: { use: (task: (to: typeof wire) => unknown) => task(wire) } as unknown as Link,
    text: '',
    maxPending: 10,
    timeoutMs: 60_000,
    randomName: () => 'name',
    keyOf: (projectId) => projectId,
    appended: () => {},
    settled: () => {},
  })
  return { appends, told }
}

it('[B2 P7] the queue of notifications is full: nobody is told of the next ones either, and none is refused', async () => {
  const { appends, told } = appendsTo(() => true)
  for (const projectId of ['p', 'p', 'q']) await appends.add(projectId, [record])
  expect(told).toEqual([true, false, false, false])
  await appends.close()
})

it('[B2 P7] it was found nearly full while a statement was under way, which fails for that: it is made again, and the publish holds', async () => {
  const { appends, told } = appendsTo((those) => {
    those.quiet()
    return true
  })
  await expect(appends.add('p', [record])).resolves.toEqual({ epoch: 'e', offset: 1 })
  expect(told).toEqual([true, false])
  await appends.close()
})

it('[B2 P7] the process stands still between the refusal and the next try: nobody is told all the same', async () => {
  const { appends, told } = appendsTo(() => true)
  const real = performance.now.bind(performance)
  let stoodStillMs = 0
  vi.spyOn(performance, 'now').mockImplementation(() => real() + (stoodStillMs += 10_001))
  await expect(appends.add('p', [record])).resolves.toEqual({ epoch: 'e', offset: 1 })
  expect(told).toEqual([true, false])
  await appends.close()
})
