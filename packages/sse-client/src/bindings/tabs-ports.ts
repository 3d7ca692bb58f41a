/** What tabs of one origin share, as arguments: tests run a dozen tabs in one process, in virtual time. */
export interface TabPorts {
  readonly locks: TabLocks
  /** A channel to the other tabs. What is posted, whoever posts does not hear. */
  openChannel(name: string, onMessage: (message: unknown) => void): TabChannel
}

/** The part of `navigator.locks` that is used. */
export interface TabLocks {
  request(
    name: string,
    options: { signal?: AbortSignal; steal?: boolean },
    granted: () => Promise<void> | undefined,
  ): Promise<unknown>
}

/** The part of a `BroadcastChannel` that is used. */
export interface TabChannel {
  post(message: unknown): void
  close(): void
}

/** The browser's, where it has both: Web Locks are for secure contexts only (https, or localhost). */
export function browserTabs(): TabPorts | undefined {
  const { navigator, BroadcastChannel } = globalThis
  const locks = navigator?.locks as TabLocks | undefined
  if (!locks || !BroadcastChannel) return undefined
  try {
    new BroadcastChannel('').close()
  } catch {
    // Where a page may store nothing, it may have none.
    return undefined
  }
  return {
    locks,
    openChannel(name, onMessage) {
      const channel = new BroadcastChannel(name)
      channel.onmessage = ({ data }: MessageEvent) => onMessage(data)
      return { post: (message) => channel.postMessage(message), close: () => channel.close() }
    },
  }
}
