import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const PREFIX = 'entitycast'
const REQUIRED = process.env.ENTITYCAST_REQUIRE_SERVICES === '1'

/** Where the server is for those at the end of a cable. */
export const serverAt = (cable: number) => ({ four: `10.77.${cable}.1`, six: `fd77:${cable}::1` })

/**
 * Networks of their own for processes: one for a server, and others that are each joined to it by a long cable, with a router in its
 * middle. A router that forwards nothing any more says so to nobody.
 */
export class Networks {
  readonly #names: string[] = []

  static async make(cables: number): Promise<Networks> {
    await removeLeftovers()
    const networks = new Networks()
    try {
      await networks.#add('server')
      for (let cable = 0; cable < cables; cable++) await networks.#join(cable)
    } catch (error) {
      await networks.remove()
      throw error
    }
    return networks
  }

  /** What starts a program in the server's network, or at the end of a cable. */
  in(cable?: number): string[] {
    return ['ip', 'netns', 'exec', nameOf(cable === undefined ? 'server' : `client${cable}`)]
  }

  /** From now on every packet is lost. */
  async pull(cable: number): Promise<void> {
    await forward(`router${cable}`, false)
  }

  async plug(cable: number): Promise<void> {
    await forward(`router${cable}`, true)
  }

  async remove(): Promise<void> {
    for (const name of this.#names.splice(0)) await ip([`netns del ${name}`])
  }

  async #add(network: string): Promise<void> {
    const name = nameOf(network)
    await ip([`netns add ${name}`])
    this.#names.push(name)
    await ip(['link set lo up'], name)
  }

  async #join(cable: number): Promise<void> {
    const router = `router${cable}`
    const client = `client${cable}`
    await this.#add(router)
    await this.#add(client)
    const [server, near, far] = [nameOf('server'), nameOf(router), nameOf(client)]
    await ip([
      `link add to${cable} netns ${server} type veth peer name near netns ${near}`,
      `link add eth netns ${far} type veth peer name far netns ${near}`,
    ])
    const [four, six] = [`10.77.${cable}`, `fd77:${cable}:`]
    const [four2, six2] = [`10.78.${cable}`, `fd78:${cable}:`]
    const end = (device: string, address: string, address6: string) => [
      `addr add ${address}/24 dev ${device}`,
      `addr add ${address6}/64 dev ${device} nodad`,
      `link set ${device} up`,
    ]
    await ip([...end('near', `${four}.2`, `${six}:2`), ...end('far', `${four2}.1`, `${six2}:1`)], near)
    await ip(
      [
        ...end(`to${cable}`, `${four}.1`, `${six}:1`),
        `route add ${four2}.0/24 via ${four}.2`,
        `route add ${six2}:/64 via ${six}:2`,
      ],
      server,
    )
    await ip(
      [...end('eth', `${four2}.2`, `${six2}:2`), `route add default via ${four2}.1`, `route add default via ${six2}:1`],
      far,
    )
    await forward(router, true)
  }
}

function nameOf(network: string): string {
  return `${PREFIX}-${process.pid}-${network}`
}

/** Commands of `ip`, in a network. */
async function ip(commands: readonly string[], name?: string): Promise<string> {
  const running = run('ip', [...(name === undefined ? [] : ['-n', name]), '-batch', '-'])
  // Where it cannot even be started, that is what is reported.
  running.child.stdin?.on('error', () => {})
  running.child.stdin?.end(`${commands.join('\n')}\n`)
  return (await running).stdout
}

async function forward(network: string, isOn: boolean): Promise<void> {
  const write = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'].map((name) => `echo ${+isOn} > /proc/sys/net/${name}`)
  await run('ip', ['netns', 'exec', nameOf(network), 'sh', '-ec', write.join('\n')])
}

/** Networks outlive a process that was killed, and so may what ran in them. */
async function removeLeftovers(): Promise<void> {
  const names = (await ip(['netns list'])).match(new RegExp(`^${PREFIX}-\\d+-\\w+`, 'gm')) ?? []
  for (const name of names) {
    const pid = Number(name.split('-')[1])
    if (pid !== process.pid && isRunning(pid)) continue
    // Who is stopped does not notice that nobody wants anything any more.
    const pids = (await ip([`netns pids ${name}`]).catch(() => '')).match(/\d+/g) ?? []
    for (const left of pids) if (isRunning(Number(left))) process.kill(Number(left), 'SIGKILL')
    await ip([`netns del ${name}`]).catch(() => {})
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function whyNot(): Promise<string | undefined> {
  try {
    const networks = await Networks.make(1)
    await networks.remove()
    return undefined
  } catch (error) {
    return (error as Error).message.trim()
  }
}

/** Why there can be no networks here; `undefined` where they can be made, and where they must. */
export const noNetworks = REQUIRED ? undefined : await whyNot()
