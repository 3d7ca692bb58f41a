import type {
  ApiErrorBody,
  Bootstrap,
  DecisionRequest,
  HistoryEntry,
  NewSubmission,
  OpenConnection,
  StreamStats,
  TenantWithUsers,
  User,
} from '../shared/api'
import type { Submission } from '../shared/events'

/** A refusal of the server, with its code and a sentence that may be shown. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** What to show for an error that a call has thrown. */
export function messageOf(error: unknown): string {
  return error instanceof ApiError ? error.message : 'The server cannot be reached.'
}

async function call<Answer>(method: string, path: string, body?: object, options?: RequestInit): Promise<Answer> {
  const response = await fetch(path, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    ...options,
  })
  if (response.status === 204) return undefined as Answer
  const answer: unknown = await response.json().catch(() => null)
  if (response.ok) return answer as Answer
  const { code, message } = (answer as ApiErrorBody | null)?.error ?? {
    code: 'UNKNOWN',
    message: 'Something went wrong.',
  }
  throw new ApiError(response.status, code, message)
}

const submission = (id: string) => `/api/submissions/${encodeURIComponent(id)}`

export const api = {
  tenants: () => call<TenantWithUsers[]>('GET', '/api/tenants'),
  login: (userId: string, password: string) => call<User>('POST', '/api/login', { userId, password }),
  logout: () => call<void>('POST', '/api/logout'),
  bootstrap: () => call<Bootstrap>('GET', '/api/bootstrap'),
  submit: (input: NewSubmission) => call<Submission>('POST', '/api/submissions', input),
  history: (id: string) => call<HistoryEntry[]>('GET', `${submission(id)}/history`),
  decide: (id: string, request: DecisionRequest) => call<Submission>('POST', `${submission(id)}/decision`, request),
  reopen: (id: string, version: number) => call<Submission>('POST', `${submission(id)}/reopen`, { version }),
  lock: (id: string, holder: string) => call<void>('PUT', `${submission(id)}/lock`, { holder }),
  /** `keepalive`: sent even while the page is going away. */
  unlock: (id: string, holder: string) =>
    call<void>('DELETE', `${submission(id)}/lock`, { holder }, { keepalive: true }),
  remind: () => call<{ overdue: number }>('POST', '/api/jobs/reminder'),
  streamStats: () => call<StreamStats>('GET', '/events/stats'),
  connections: () => call<OpenConnection[]>('GET', '/api/connections'),
  disconnect: (connectionId: string) => call<void>('DELETE', `/api/connections/${encodeURIComponent(connectionId)}`),
}
