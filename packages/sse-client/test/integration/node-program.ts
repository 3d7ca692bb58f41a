/** A program of `node-process.test.ts`: it follows, says each state on a line of its own, and works until it has got that far. Bundled by the test. */
import { EventSource } from '@entitycast/sse-client/event-source'
import { NodeSubscriber, nodePlatform } from '@entitycast/sse-client/node'

const [what, url = '', alive] = process.argv.slice(2)
const keepProcessAlive = alive === 'default' ? undefined : alive === 'true'
const work = setInterval(() => {}, 1_000)
const say = (line: unknown) => {
  process.stdout.write(`${line}\n`)
  if (line !== 'connecting') clearInterval(work)
}

if (what === 'source') {
  const { fetch, clock } = nodePlatform({ keepProcessAlive })
  const source = new EventSource(url, { fetch, heartbeatMs: 60_000 }, { clock })
  source.onopen = () => say('connected')
} else {
  const updates = new NodeSubscriber(url, {
    keepProcessAlive,
    headers: ({ reason }) => {
      if (reason) say(reason)
      return {}
    },
  })
  updates.onState(say)
  updates.onError(({ code }) => say(code))
  updates.on('*', ({ type }) => {
    say(type)
    if (type === 'program:close') updates.close()
  })
  updates.connect()
  // Many times, to see that nothing is left of any.
  if (what === 'again') {
    for (let i = 0; i < 20; i++) {
      updates.close()
      updates.connect()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
