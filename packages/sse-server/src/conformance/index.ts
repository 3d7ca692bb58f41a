import { brokerChecks } from './broker-checks'
import { liveChecks } from './live-checks'
import { logChecks } from './log-checks'
import { messageChecks } from './message-checks'
import type { AdapterCheck, AdapterUnderTest } from './subject'

/*
 * The contract of adapters as tests, for any test runner. There are no flags to leave one out: the contract has no options. What a
 * subject does not offer to be harmed is not harmed, and what is one process's own is played with one instance.
 */

export type { AdapterCheck, AdapterUnderTest, BrokerUnderTest, LogUnderTest, MessagesUnderTest } from './subject'

/** `describe` and `it` of vitest, jest, mocha, `node:test` or another runner. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/**
 * Every check of the adapter contract that the subject can be put to, each with one, two and three instances over one log.
 *
 * @example
 * for (const { name, run } of adapterChecks(subject)) test(name, run)
 */
export function adapterChecks(subject: AdapterUnderTest): AdapterCheck[] {
  const { harms = [], intercepts = false, manifest } = subject
  const instances = manifest.shared ? [1, 2, 3] : [1]
  const checks = [
    ...logChecks,
    ...liveChecks,
    ...(intercepts ? messageChecks : []),
    ...brokerChecks.filter(({ needs }) => needs.every((hook) => harms.includes(hook))),
  ]
  return instances.flatMap((count) =>
    checks.map(({ name, run }) => ({
      name: `${name} · ${count} instance${count === 1 ? '' : 's'}`,
      run: () => run(subject, count),
    })),
  )
}

/**
 * Describes an adapter as a suite of a test runner.
 *
 * @example
 * import { describe, it } from 'vitest'
 * describeAdapter({ describe, it }, { manifest: new MyAdapter().manifest, begin: () => ({ create: () => new MyAdapter(), end() {} }) })
 */
export function describeAdapter(runner: TestRunner, subject: AdapterUnderTest): void {
  runner.describe(`the ${subject.manifest.name} adapter keeps the adapter contract`, () => {
    for (const { name, run } of adapterChecks(subject)) runner.it(name, run)
  })
}
