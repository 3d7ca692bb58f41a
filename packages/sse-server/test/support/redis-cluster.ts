import { Cluster } from 'ioredis'
import { createCluster } from 'redis'
import { type ClientName, RedisServer } from './redis'

const SLOTS = 16_384

/** A Redis Cluster of three masters without replicas. */
export class RedisClusterNodes {
  private constructor(readonly nodes: readonly RedisServer[]) {}

  static async start(): Promise<RedisClusterNodes> {
    // No node is thought to have failed because the machine was busy: none has a replica that could take its place.
    const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '30000', '--save', '']
    const nodes: RedisServer[] = []
    const cluster = new RedisClusterNodes(nodes)
    try {
      for (let n = 0; n < 3; n++) nodes.push(await RedisServer.start(...settings))
      const share = Math.ceil(SLOTS / nodes.length)
      for (const [n, node] of nodes.entries()) {
        const last = Math.min(SLOTS, (n + 1) * share) - 1
        await node.ask('CLUSTER', 'ADDSLOTSRANGE', String(n * share), String(last))
        await nodes[0]!.ask('CLUSTER', 'MEET', '127.0.0.1', String(node.port))
      }
      await cluster.ready()
      return cluster
    } catch (error) {
      await cluster.end()
      throw error
    }
  }

  /** Resolves when every node knows all the others, and that all slots are served. */
  async ready(): Promise<void> {
    const deadline = Date.now() + 30_000
    for (const node of this.nodes) {
      for (;;) {
        const info = await node.ask('CLUSTER', 'INFO').catch(String)
        if (/cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info)) break
        if (Date.now() > deadline) throw new Error(`the cluster is not ready: ${info}`)
        await new Promise<void>((resolve) => {
          setTimeout(resolve, 20)
        })
      }
    }
  }

  async wipe(): Promise<void> {
    for (const node of this.nodes) await node.wipe()
  }

  /** What an application has before it has us. Never connected. */
  client(name: ClientName): Cluster | ReturnType<typeof createCluster> {
    const addresses = this.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
    return name === 'ioredis'
      ? new Cluster(addresses, { lazyConnect: true })
      : createCluster({ rootNodes: addresses.map((socket) => ({ socket })) })
  }

  async end(): Promise<void> {
    for (const node of this.nodes) await node.end()
  }
}
