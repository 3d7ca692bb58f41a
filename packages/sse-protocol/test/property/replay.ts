import fc from 'fast-check'

/*
 * A property that fails prints its seed and path. To run it again just so:
 *   ENTITYCAST_SEED=1234 ENTITYCAST_PATH=0:1:2 npx vitest run packages/sse-protocol/test/property
 * and to look longer: ENTITYCAST_RUNS=100000.
 */
const { ENTITYCAST_SEED: seed, ENTITYCAST_PATH: path, ENTITYCAST_RUNS: runs } = process.env

fc.configureGlobal({
  ...(seed !== undefined && { seed: Number(seed) }),
  ...(path !== undefined && { path }),
  ...(runs !== undefined && { numRuns: Number(runs) }),
})
