import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'

/*
 * Ports for servers that are killed and started again at the same address. A port that the system has given away once it may give to somebody else
 * while its server is down, so these lie below those that systems choose from (32,768 and above), also with the 10,000 that Redis Cluster adds.
 */

const FIRST = 12_000
const COUNT = 10_000
/** An address where nobody serves: whoever listens there has the port of this number at 127.0.0.1. */
const CLAIMS = '127.18.18.18'

/** A port of 127.0.0.1 that is free, and that no other test is given for as long as this process lives. None for who listens at every address: the claim is one. */
export async function ownPort(): Promise<number> {
  for (;;) {
    const port = FIRST + randomInt(COUNT)
    if (!(await isClaimed(port))) continue
    const probe = await listen(port, '127.0.0.1')
    if (typeof probe === 'string') continue
    await new Promise((resolve) => probe.close(resolve))
    return port
  }
}

async function isClaimed(port: number): Promise<boolean> {
  const claim = await listen(port, CLAIMS)
  if (typeof claim !== 'string') claim.unref()
  // Where the loopback has one address only the port is not claimed, and most likely nobody else's all the same.
  return claim !== 'EADDRINUSE'
}

/** A server that listens there, or the code of why none can. */
function listen(port: number, host: string): Promise<Server | string> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => resolve(code))
    server.listen(port, host, () => resolve(server))
  })
}
