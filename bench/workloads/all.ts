import type { Workload } from '../harness/workload'
import { adapters } from './adapters'
import { catchUp } from './catch-up'
import { client } from './client'
import { cluster } from './cluster'
import { compression } from './compression'
import { connect } from './connect'
import { fanouts } from './fanout'
import { heartbeat } from './heartbeat'
import { idle } from './idle'
import { paced } from './paced'
import { projects } from './projects'
import { publish } from './publish'

/** Every workload, in the order of the report. */
export const workloads: readonly Workload[] = [
  ...fanouts,
  compression,
  idle,
  heartbeat,
  paced,
  connect,
  projects,
  catchUp,
  cluster,
  adapters,
  publish,
  client,
]
