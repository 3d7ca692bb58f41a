import { logName } from '@entitycast/sse-server'
import { describe, expect, it } from 'vitest'
import { CONTROL_LOG, presenceLog } from '../../src/seams/log-name'
import { codeOf, testHub } from '../support/hub'

describe("the hub's own logs", () => {
  it('[N4] have names in the alphabet of all others, and none of them is another log’s', () => {
    const ids = [
      'hub',
      'presence/p1',
      'presence',
      '%01hub',
      'p1',
      CONTROL_LOG,
      presenceLog('p1'),
      presenceLog("a'b.(c)"),
    ]
    const names = ids.map(logName)
    expect(new Set(names).size).toBe(ids.length)
    for (const name of names) expect(name).toMatch(/^events\.[A-Za-z0-9_%-]+$/)
    expect(logName(CONTROL_LOG)).toBe('events.%01hub')
    expect(logName('p.1')).toBe('events.p%2E1')
  })

  it('[P3 N2] cannot be named by an application', async () => {
    const { hub } = testHub()
    for (const projectId of [CONTROL_LOG, presenceLog('p1')]) {
      expect(await codeOf(() => hub.project(projectId))).toBe('INVALID_PROJECT_ID')
      expect(await codeOf(() => hub.cursor(projectId))).toBe('INVALID_PROJECT_ID')
      expect(await codeOf(() => hub.listen({ projectId }, () => {}))).toBe('INVALID_PROJECT_ID')
      expect(await codeOf(() => hub.publish({ type: 'a:b', projectId, data: 1 }))).toBe('INVALID_PROJECT_ID')
    }
    await hub.close()
  })
})
