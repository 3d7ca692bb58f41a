import type { Hub } from './hub'

/** A hub of whatever events: all but what depends on their types. What mounts take, so that one with `defineEvents` fits too. */
export type AnyHub = Omit<Hub, 'listen' | 'project' | 'publish' | '~definitions'>
