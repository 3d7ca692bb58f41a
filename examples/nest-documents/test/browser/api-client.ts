import type { ProjectData, Session } from '../../shared/model.js'

/** One person's requests to the server, past the page. */
export class ApiClient {
  private constructor(
    readonly url: string,
    readonly projectId: string,
    readonly token: string,
  ) {}

  static async signIn(url: string, personId: string, projectId: string): Promise<ApiClient> {
    const response = await fetch(`${url}/api/auth/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ personId }),
    })
    const { accessToken } = (await response.json()) as Session
    return new ApiClient(url, projectId, accessToken)
  }

  async load(): Promise<ProjectData> {
    const response = await this.request('/api/documents')
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    return (await response.json()) as ProjectData
  }

  upload(title: string, text: string): Promise<Response> {
    return this.request(`/api/documents?title=${encodeURIComponent(title)}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: text,
    })
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...init.headers, authorization: `Bearer ${this.token}`, 'x-project-id': this.projectId }
    return fetch(this.url + path, { ...init, headers })
  }
}
