import { connection, connectionState } from '@entitycast/sse-client/svelte'
import { bindingSuite } from './binding-suite'

bindingSuite({
  name: 'svelte',
  mount({ subscriber, pattern, handler, onResync }) {
    let newest = handler
    const shown: string[] = []
    // What `$store` and `onMount` compile to.
    const stops = [
      connection(subscriber).subscribe(({ state }) => (shown[0] = state)),
      connectionState(subscriber).subscribe((state) => (shown[1] = state)),
      subscriber.subscribe(pattern, (event) => newest(event)),
      subscriber.onResync(({ reason }) => onResync(reason)),
    ]
    return {
      shown: () => [...shown],
      handle: (next) => {
        newest = next
      },
      unmount: () => {
        for (const stop of stops) stop()
      },
    }
  },
})
