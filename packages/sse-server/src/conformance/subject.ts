import type { Adapter, AdapterManifest } from '@entitycast/sse-server'

/** What the suite needs of an author: an adapter, and what can be done to whatever is behind it. */
export interface AdapterUnderTest {
  /** What every adapter of `begin` says that it is. The suite holds it to that. */
  readonly manifest: AdapterManifest
  /**
   * A log that nobody has written to. Called once for each check; `end` is called when that is over.
   *
   * @param isHarmed whether the check harms the broker. It waits until calls are refused, so adapters with a short timeout spare time there; what such
   * an adapter refuses before or after the fault is asked for again. In all other checks a call that is refused is a failure, so give adapters a
   * timeout that no busy machine exceeds.
   */
  begin(isHarmed: boolean): LogUnderTest | Promise<LogUnderTest>
  /** What `begin().broker` can do to the broker, said beforehand because tests are named before they run. Default: nothing. */
  readonly harms?: readonly (keyof BrokerUnderTest)[]
  /** Whether `begin().messages` is there. Default `false`. */
  readonly intercepts?: boolean
  /** How long a live record, or a broker that is back, may take to be seen, in milliseconds. Default 10,000. */
  readonly patienceMs?: number
}

/** One log, and the instances over it. */
export interface LogUnderTest {
  /** A new adapter, as another process would make it, not yet started. With `shared: false` it is called once. */
  create(): Adapter | Promise<Adapter>
  /** Lets time pass until records of this age are too old. Default: waits for so long. */
  expire?(ageMs: number): Promise<void>
  /** The broker, where the tests may harm it. What is not here is not checked. */
  readonly broker?: BrokerUnderTest
  /** The messages between instances, where the tests may hold them up. */
  readonly messages?: MessagesUnderTest
  /** Everything that `begin` made is let go. The adapters are closed by then. */
  end(): void | Promise<void>
}

/** Each resolves when it has happened. */
export interface BrokerUnderTest {
  /** It hangs: connections stay open, and nothing is answered. */
  stop?(): Promise<void>
  /** It is killed at once, with all that it had in memory only. */
  kill?(): Promise<void>
  /** It is back, after `stop` or `kill`, at the same address. */
  restart?(): Promise<void>
  /** It forgets all that it holds, and runs on. */
  wipe?(): Promise<void>
}

export interface MessagesUnderTest {
  /**
   * From now on nothing that instances tell each other arrives by itself. Each message is given to `hold`, which delivers it by calling
   * what it is given: at once, later, several times, or never. Reading the log itself is not a message.
   */
  intercept(hold: (deliver: () => void | Promise<void>) => void): void | Promise<void>
  /** Puts something that is no message of the adapter's where a project's messages go. */
  garbage?(projectId: string): Promise<void>
}

/** What a check is run with: several processes over one log. */
export interface AdapterCheck {
  /** `[clause] what must hold`. */
  readonly name: string
  /** Throws where the adapter breaks its word. */
  run(): Promise<void>
}
