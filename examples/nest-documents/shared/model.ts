/** What the API answers and the events carry: the one description that the server and the page share. */

/** `pending`: nobody asked for it yet. `queued`: the worker will take it. */
export type DocumentStatus = 'pending' | 'queued' | 'embedding' | 'embedded'

export interface DocumentRow {
  id: string
  title: string
  bytes: number
  chunks: number
  embeddedChunks: number
  status: DocumentStatus
  /** Grows with each change; one counter a project, so that a bulk change can give all of its rows the same one. */
  version: number
  createdAt: string
  updatedAt: string
}

export interface ChunkRow {
  id: string
  documentId: string
  /** 1, 2, 3 … within its document. */
  ordinal: number
  /** The beginning of the text. */
  excerpt: string
  characters: number
  status: 'pending' | 'embedded'
  version: number
}

/** Something a person did, for the activity list. */
export interface ActivityRow {
  id: string
  userName: string
  text: string
  at: string
}

/** Everything the page shows, and the place in the project's log from which its events go on. */
export interface ProjectData {
  documents: DocumentRow[]
  chunks: ChunkRow[]
  activity: ActivityRow[]
  cursor: string
}

/** The largest text that can be uploaded. */
export const MAX_UPLOAD_BYTES = 128 * 1024

export type BulkAction = 'embed' | 'reset' | 're-embed'

export interface SearchHit {
  chunkId: string
  documentId: string
  title: string
  ordinal: number
  text: string
  /** Cosine similarity, 0 to 1. */
  score: number
}

export interface Project {
  id: string
  name: string
}

export interface Person {
  id: string
  name: string
  role: string
  projects: Project[]
}

export interface Session {
  person: Person
  /** Sent as `Authorization: Bearer …`; lives for minutes. */
  accessToken: string
  /** Buys the next access token; lives for hours. */
  refreshToken: string
}
