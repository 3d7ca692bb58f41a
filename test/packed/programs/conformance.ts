// The conformance suite with a runner of a few lines.
import assert from 'node:assert/strict'

const tests: { name: string; run: () => Promise<void> }[] = []
const describe = (_: string, body: () => void) => body()
const it = (name: string, run: () => Promise<void>) => tests.push({ name, run })

// >>> conformance
import { MemoryAdapter } from '@entitycast/sse-server'
import { type AdapterUnderTest, describeAdapter } from '@entitycast/sse-server/conformance'

class MyAdapter extends MemoryAdapter {}                              // yours

const subject: AdapterUnderTest = {
  manifest: new MyAdapter().manifest,
  begin: () => {                                                      // for each check: a log that nobody has written to
    return {
      create: () => new MyAdapter(),                                  // an instance over it; several where it is `shared`
      end: () => {},                                                  // whatever `begin` made is let go
    }
  },
}
describeAdapter({ describe, it }, subject)                            // of vitest, jest, mocha, node:test …
// <<<

assert(tests.length >= 20)
for (const { name, run } of tests) await run().catch((error) => assert.fail(`${name}: ${error}`))
console.log('ran')
