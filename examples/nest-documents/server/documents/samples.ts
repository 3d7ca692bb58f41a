import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EXAMPLE_DIR } from '../config.js'
import type { DocumentStore } from './documents.store.js'

const FOLDERS: Record<string, string> = { proj_northwind: 'northwind', proj_acme: 'acme' }

/** Puts the texts of `samples/` into projects that are not there yet: stored and cut into chunks, none embedded. */
export async function addSamples(store: DocumentStore): Promise<void> {
  for (const [projectId, folder] of Object.entries(FOLDERS)) {
    const directory = join(EXAMPLE_DIR, 'samples', folder)
    const titles = (await readdir(directory)).filter((name) => name.endsWith('.txt')).sort()
    const read = (title: string) => readFile(join(directory, title), 'utf8')
    await store.addProject(
      projectId,
      await Promise.all(titles.map(async (title) => ({ title, text: await read(title) }))),
    )
  }
}
