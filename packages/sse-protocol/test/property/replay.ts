import fc from 'fast-check'

/*
 * The same cases in every run, so that a property fails for what has changed and for nothing else. Others: ENTITYCAST_SEED=$RANDOM, and
 * more of them, where a property does not say how many: ENTITYCAST_RUNS=100000. One that fails prints its seed and path. To run it again just so:
 *   ENTITYCAST_SEED=1234 ENTITYCAST_PATH=0:1:2 npx vitest run packages/sse-protocol/test/property
 */
const { ENTITYCAST_SEED: seed = '1', ENTITYCAST_PATH: path, ENTITYCAST_RUNS: runs } = process.env

fc.configureGlobal({
  seed: Number(seed),
  ...(path !== undefined && { path }),
  ...(runs !== undefined && { numRuns: Number(runs) }),
})
