import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EXAMPLE_DIR } from '../config.js'
import type { DocumentStore } from './documents.store.js'

const FOLDERS: Record<string, string> = { proj_northwind: 'northwind', proj_acme: 'acme' }

/** Puts the texts of `samples/` into projects that are not there yet: stored and cut into chunks, none embedded. */
export async function addSamples(store: DocumentStore): Promise<void> {
  for (const [projectId, folder] of Object.entries(FOLDERS)) {
    if (!(await store.wantsSamples(projectId))) continue
    const directory = join(EXAMPLE_DIR, 'samples', folder)
    for (const file of (await readdir(directory)).filter((name) => name.endsWith('.txt')).sort()) {
      await store.add(projectId, file, await readFile(join(directory, file), 'utf8'), 'pending')
    }
    await store.hasSamples(projectId)
  }
}
