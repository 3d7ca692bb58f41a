import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DeadPeers } from '../../src/mounts/node-dead-peers'
import { nameOf, TCP6, type TcpTable, type Unanswered } from '../../src/mounts/node-tcp-table'
import { countersOf, triesOf } from '../../src/mounts/node-tcp-tries'

const HEARTBEAT_MS = 10_000
const LOOK_MS = HEARTBEAT_MS / 4

describe('the watch over peers', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** What the kernel says of each peer at the time, by remote port. */
  const table = new Map<number, Unanswered>()
  const looks: TcpTable[] = []
  let failure: Error | undefined
  beforeEach(() => {
    table.clear()
    looks.length = 0
    failure = undefined
  })

  const ends = (remotePort: number, remoteAddress = '192.0.2.1') => ({
    localAddress: '192.0.2.9',
    localPort: 80,
    remoteAddress,
    remotePort,
  })
  const peers = () =>
    new DeadPeers(async (which, found) => {
      looks.push(which)
      if (failure) throw failure
      for (const [port, unanswered] of table) found.set(nameOf(ends(port)) as string, unanswered)
    })

  function watch(dead: DeadPeers, port: number, heartbeatMs = HEARTBEAT_MS) {
    const owner = { ends: ends(port), destroy: vi.fn() }
    dead.watch(owner, heartbeatMs)
    return owner
  }

  /** The kernel tries again and again, each time after twice as long; looks go on meanwhile. */
  async function silence(port: number, forMs: number): Promise<void> {
    for (let ms = 0; ms < forMs; ms += LOOK_MS) {
      table.set(port, { bytes: 100 + Math.floor(ms / HEARTBEAT_MS) * 100, attempts: 1 + Math.floor(Math.log2(1 + ms)) })
      await vi.advanceTimersByTimeAsync(LOOK_MS)
    }
  }

  it('[D9] while the kernel has nothing to try again the tables are not read, and as soon as it has they are', async () => {
    let tries = 5
    const read = vi.fn(async (_: TcpTable, found: Map<string, Unanswered>) => {
      for (const [port, unanswered] of table) found.set(nameOf(ends(port)) as string, unanswered)
    })
    const dead = new DeadPeers(read, async () => tries)
    const gone = watch(dead, 1)
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(read).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(LOOK_MS * 10)
    expect(read).toHaveBeenCalledTimes(1)
    // One try, and from then on the suspect is looked at, also while the counter stands still between two tries.
    tries++
    await silence(1, 2 * HEARTBEAT_MS)
    expect(gone.destroy).toHaveBeenCalled()
    dead.unwatch(gone)
  })

  it('[D9] the tables are read at every look where the kernel does not tell how often it has tried', async () => {
    const read = vi.fn(async () => {})
    const dead = new DeadPeers(read, async () => triesOf('Tcp: InSegs\nTcp: 7\n', ['TCPTimeouts']))
    const one = watch(dead, 1)
    await vi.advanceTimersByTimeAsync(LOOK_MS * 3)
    expect(read).toHaveBeenCalledTimes(3)
    dead.unwatch(one)
  })

  const SNMP = 'Ip: Forwarding\nIp: 1\nTcp: InSegs RetransSegs OutRsts\nTcp: 900 20 7\n'
  const NETSTAT =
    'TcpExt: SyncookiesSent TCPTimeouts TCPRetransFail TCPLossProbes TCPWinProbe\nTcpExt: 8 3 2 40 1\nIpExt: InNoRoutes\nIpExt: 5\n'

  it('[D9] counts timeouts and probes, and not what was sent again early: that happens where an answer only takes its time', () => {
    const { files, names } = countersOf('6.1.0-18-amd64')
    expect(files).toEqual(['/proc/net/netstat'])
    expect(triesOf(NETSTAT, names)).toBe(4)
  })

  it('[D9] counts all that was sent again where the kernel is too old to count each timeout', () => {
    for (const kernel of ['4.18.0-553.el8_10.x86_64', '5.3.18-default', '4.4.0', 'something else']) {
      expect(triesOf(SNMP + NETSTAT, countersOf(kernel).names), kernel).toBe(26)
    }
    for (const kernel of ['5.4.0-200-generic', '5.15.167.4-microsoft-standard-WSL2', '6.8.0-1021-aws', '10.0']) {
      expect(countersOf(kernel).names, kernel).not.toContain('RetransSegs')
    }
  })

  it('[D9] cannot tell where a counter is missing, has no value, or only begins or ends like another', () => {
    const names = ['TCPTimeouts']
    for (const text of [
      '',
      'TcpExt: TCPTimeouts',
      'TcpExt: A TCPTimeouts\nTcpExt: 1\n',
      'TcpExt: TCPTimeoutsRehash\nTcpExt: 7\n',
    ]) {
      expect(triesOf(text, names), text).toBeUndefined()
    }
    expect(triesOf('TcpExt: MyTCPTimeouts TCPTimeouts\nTcpExt: 7 0\n', names)).toBe(0)
  })

  it('[D9] ends the stream of a peer that answers nothing, less than two heartbeats after the first try, and no other', async () => {
    const dead = peers()
    const gone = watch(dead, 1)
    const here = watch(dead, 2)
    await vi.advanceTimersByTimeAsync(HEARTBEAT_MS)
    const startedAt = Date.now()
    let endedAt: number | undefined
    gone.destroy.mockImplementation(() => {
      endedAt ??= Date.now()
    })
    await silence(1, 2 * HEARTBEAT_MS)
    expect((endedAt ?? Number.POSITIVE_INFINITY) - startedAt).toBeLessThan(1.6 * HEARTBEAT_MS)
    expect(here.destroy).not.toHaveBeenCalled()
  })

  it('[D9] suspects it from the first look on, and no more when it has answered', async () => {
    const dead = peers()
    const one = watch(dead, 1)
    expect(dead.suspects(one)).toBe(false)
    await silence(1, LOOK_MS)
    expect(dead.suspects(one)).toBe(true)
    table.clear()
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(dead.suspects(one)).toBe(false)
  })

  it('[D9] leaves a peer alone that was silent for a heartbeat, again and again', async () => {
    const dead = peers()
    const one = watch(dead, 1)
    for (let n = 0; n < 10; n++) {
      await silence(1, HEARTBEAT_MS)
      table.delete(1)
      await vi.advanceTimersByTimeAsync(LOOK_MS)
    }
    expect(one.destroy).not.toHaveBeenCalled()
  })

  it.each([
    ['attempts', [3, 4, 5, 4, 5, 6, 7, 6], (n: number) => ({ bytes: 100, attempts: n })],
    ['bytes', [3, 4, 5, 4, 5, 6, 7, 6], (n: number) => ({ bytes: n, attempts: n + looks.length })],
  ])('[D9] takes fewer %s than at the last look for an answer that came in between', async (_, numbers, of) => {
    const dead = peers()
    const one = watch(dead, 1)
    for (const n of [...numbers, ...numbers, ...numbers]) {
      table.set(1, of(n))
      await vi.advanceTimersByTimeAsync(LOOK_MS)
    }
    expect(one.destroy).not.toHaveBeenCalled()
  })

  it('[D9] leaves a peer alone that is only full: it answers, and what was counted before stands still', async () => {
    const dead = peers()
    const one = watch(dead, 1)
    table.set(1, { bytes: 100_000, attempts: 3 })
    await vi.advanceTimersByTimeAsync(20 * HEARTBEAT_MS)
    expect(one.destroy).not.toHaveBeenCalled()
  })

  it('[D9] looks again at once where a look took long without work: the machine is busy, and the process is not', async () => {
    const read = vi.fn(() => new Promise<void>((resolve) => setTimeout(resolve, 2 * LOOK_MS)))
    const dead = new DeadPeers(read)
    const one = watch(dead, 1)
    await vi.advanceTimersByTimeAsync(LOOK_MS + 4 * 2 * LOOK_MS)
    // By the time alone there would be one: after it came nine times as long without any.
    expect(read.mock.calls.length).toBeGreaterThanOrEqual(4)
    dead.unwatch(one)
  })

  it('[D9] does not blame anybody for a time in which the process stood still', async () => {
    const dead = peers()
    const one = watch(dead, 1)
    table.set(1, { bytes: 1, attempts: 1 })
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    // The machine sleeps: its clock goes on, and its timers do not.
    const now = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now + 100 * HEARTBEAT_MS)
    table.set(1, { bytes: 1, attempts: 2 })
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    clock.mockRestore()
    expect(looks.length).toBeGreaterThan(1)
    expect(one.destroy).not.toHaveBeenCalled()
  })

  it('[D9] looks as often as the shortest heartbeat wants, for a stream that comes later too, and at nothing when all have left', async () => {
    const dead = peers()
    const slow = watch(dead, 1, 60_000)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(looks).toHaveLength(4)
    const fast = watch(dead, 2, 1_000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(looks).toHaveLength(8)
    dead.unwatch(fast)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(looks.length).toBeLessThanOrEqual(13)
    dead.unwatch(slow)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('[D9] looks also where heartbeats are off: events have to be acknowledged too', async () => {
    const dead = peers()
    const one = watch(dead, 1, 0)
    for (let n = 1; n <= 16; n++) {
      table.set(1, { bytes: 100, attempts: n })
      await vi.advanceTimersByTimeAsync(7_500)
    }
    expect(one.destroy).toHaveBeenCalled()
  })

  it('[D9] looks only in the tables that its streams are in', async () => {
    const dead = peers()
    watch(dead, 1)
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(looks.map(({ path }) => path)).toEqual(['/proc/net/tcp'])
    dead.watch({ ends: ends(2, '::ffff:192.0.2.1'), destroy: vi.fn() }, HEARTBEAT_MS)
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(looks.slice(1).map(({ path }) => path)).toEqual(['/proc/net/tcp', '/proc/net/tcp6'])
  })

  it('[D9] looks in no table for what has no addresses, such as a Unix socket, and forgets it', async () => {
    const dead = peers()
    for (const none of [undefined, {}]) dead.watch({ ends: none, destroy: vi.fn() }, HEARTBEAT_MS)
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(looks).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('[D9] asks a stream for its ends once, at the first look that has to know them, and many in several turns', async () => {
    let tries = 5
    const dead = new DeadPeers(
      async () => {},
      async () => tries,
    )
    let asked = 0
    const owners = Array.from({ length: 200 }, (_, n) => ({
      get ends() {
        asked++
        return ends(n + 1)
      },
      destroy: vi.fn(),
    }))
    const [early, late] = [owners.slice(0, 10), owners.slice(10)]
    for (const owner of early) dead.watch(owner, HEARTBEAT_MS)
    expect(asked).toBe(0)
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(asked).toBe(10)
    for (const owner of late) dead.watch(owner, HEARTBEAT_MS)
    await vi.advanceTimersByTimeAsync(3 * LOOK_MS)
    expect(asked).toBe(10)
    tries++
    await vi.advanceTimersToNextTimerAsync()
    expect(asked).toBeGreaterThan(10)
    expect(asked).toBeLessThan(150)
    // Whoever leaves between two turns is asked no more.
    for (const owner of owners.slice(150)) dead.unwatch(owner)
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(asked).toBe(150)
    for (const owner of owners) dead.unwatch(owner)
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each(['ENOENT', 'EACCES'])('[D9] looks no more where there is no such table: %s', async (code) => {
    const dead = peers()
    failure = Object.assign(new Error(code), { code })
    const one = watch(dead, 1)
    await vi.advanceTimersByTimeAsync(10 * HEARTBEAT_MS)
    expect(looks).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
    dead.watch(one, HEARTBEAT_MS)
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(looks).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
    for (const port of [2, 3]) dead.watch({ ends: ends(port, '2001:db8::1'), destroy: vi.fn() }, HEARTBEAT_MS)
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    expect(looks.slice(1)).toEqual([TCP6])
    // Neither is there: nobody is looked after from now on.
    dead.watch(one, HEARTBEAT_MS)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('[D9] looks again where there were too many open files, and goes by what it saw before', async () => {
    const dead = peers()
    const one = watch(dead, 1)
    await silence(1, LOOK_MS)
    failure = Object.assign(new Error('EMFILE'), { code: 'EMFILE' })
    await silence(1, HEARTBEAT_MS)
    expect(one.destroy).not.toHaveBeenCalled()
    failure = undefined
    await silence(1, 2 * HEARTBEAT_MS)
    expect(one.destroy).toHaveBeenCalled()
  })
})
