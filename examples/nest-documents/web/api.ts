import {
  type BulkAction,
  type DocumentRow,
  MAX_UPLOAD_BYTES,
  type Person,
  type ProjectData,
  type SearchHit,
} from '../shared/model'
import { type SessionKeeper, SignedOut } from './session'

/** The requests of one project's page. */
export class Api {
  constructor(
    readonly keeper: SessionKeeper,
    readonly projectId: string,
  ) {}

  load(signal?: AbortSignal): Promise<ProjectData> {
    return this.#request('/api/documents', { signal })
  }

  async upload(file: File): Promise<DocumentRow> {
    if (file.size > MAX_UPLOAD_BYTES) throw new Error(`${file.name} is larger than ${MAX_UPLOAD_BYTES / 1024} KB.`)
    return this.#request(`/api/documents?title=${encodeURIComponent(file.name)}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: file,
    })
  }

  bulk(action: BulkAction, ids: string[] | null): Promise<{ changed: number }> {
    return this.#request('/api/documents/bulk', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ action, ids: ids ?? undefined }),
    })
  }

  async remove(id: string): Promise<void> {
    await this.#request(`/api/documents/${encodeURIComponent(id)}`, { method: 'DELETE' })
  }

  async search(query: string): Promise<SearchHit[]> {
    const { hits } = await this.#request<{ hits: SearchHit[] }>(`/api/search?q=${encodeURIComponent(query)}`)
    return hits
  }

  async #request<Answer>(path: string, init: RequestInit = {}, renewed = false): Promise<Answer> {
    const token = await this.keeper.accessToken(renewed)
    let response: Response
    try {
      response = await fetch(path, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${token}`, 'x-project-id': this.projectId },
      })
    } catch (error) {
      if (init.signal?.aborted) throw error
      throw new Error('The server cannot be reached.')
    }
    if (response.status === 401) {
      if (!renewed) return this.#request(path, init, true)
      this.keeper.signOut()
      throw new SignedOut()
    }
    if (!response.ok) throw new Error(await reason(response))
    return (response.status === 204 ? undefined : await response.json()) as Answer
  }
}

export async function people(): Promise<Person[]> {
  const response = await fetch('/api/auth/people')
  if (!response.ok) throw new Error(`The server answered ${response.status}.`)
  return (await response.json()) as Person[]
}

async function reason(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as { message?: unknown } | null
  return typeof body?.message === 'string' ? body.message : `The server answered ${response.status}.`
}
