import '@angular/compiler'
import {
  createEnvironmentInjector,
  type EnvironmentInjector,
  NgZone,
  PLATFORM_ID,
  runInInjectionContext,
} from '@angular/core'
import {
  Entitycast,
  injectEntityUpdates,
  injectEvents,
  injectResync,
  provideEntitycast,
} from '@entitycast/sse-client/angular'
import { createFakeServer } from '@entitycast/sse-client/testing'
import { expect, it } from 'vitest'
import { bindingSuite } from './binding-suite'

/** A zone that says whether it was left. */
function platform(id = 'browser') {
  const outside: number[] = []
  let depth = 0
  const zone = {
    runOutsideAngular<Result>(run: () => Result): Result {
      outside.push(++depth)
      try {
        return run()
      } finally {
        depth--
      }
    },
  }
  const providers = [
    { provide: NgZone, useValue: zone },
    { provide: PLATFORM_ID, useValue: id },
  ]
  return { providers, outside }
}

function injector(providers: Parameters<typeof createEnvironmentInjector>[0], parent?: EnvironmentInjector) {
  return createEnvironmentInjector(providers, parent as EnvironmentInjector)
}

bindingSuite({
  name: 'angular',
  mount({ subscriber, pattern, handler, onResync }) {
    const app = injector([...platform().providers, provideEntitycast({ subscriber })])
    const component = injector([], app)
    let newest = handler
    const service = component.get(Entitycast)
    runInInjectionContext(component, () => {
      injectEntityUpdates(pattern, (event) => newest(event))
      injectResync(({ reason }) => onResync(reason))
    })
    return {
      shown: () => [service.connectionState(), service.connection().state],
      handle: (next) => {
        newest = next
      },
      unmount: () => {
        component.destroy()
        app.destroy()
      },
    }
  },
})

it('the first who asks opens the stream, outside the zone, and the end of the injector closes it', async () => {
  const server = createFakeServer()
  const { providers, outside } = platform()
  const app = injector([...providers, provideEntitycast({ url: 'https://app.test/stream', fetch: server.fetch })])
  expect(server.requests).toHaveLength(0)
  const service = app.get(Entitycast)
  expect(outside).toEqual([1])
  expect(app.get(Entitycast)).toBe(service)
  await server.advance(0)
  expect([server.connections, service.connectionState()]).toEqual([1, 'connected'])
  app.destroy()
  expect([server.connections, service.subscriber.state]).toEqual([0, 'disconnected'])
})

it('a stream that is opened later, by a click in the zone, is outside it, too', async () => {
  const server = createFakeServer()
  const { providers, outside } = platform()
  const app = injector([...providers, provideEntitycast({ url: 'https://app.test/stream', fetch: server.fetch })])
  const { subscriber } = app.get(Entitycast)
  await server.advance(0)
  subscriber.reconnect()
  await server.advance(0)
  subscriber.pause('disabled')
  subscriber.resume('disabled')
  await server.advance(0)
  subscriber.close()
  subscriber.connect()
  expect(outside).toEqual([1, 1, 1, 1])
  await server.advance(0)
  expect([server.requests.length, server.connections]).toEqual([4, 1])
  app.destroy()
  expect(server.connections).toBe(0)
})

it('on a server it asks for nothing', async () => {
  const server = createFakeServer()
  const options = { url: 'https://app.test/stream', fetch: server.fetch }
  const app = injector([...platform('server').providers, provideEntitycast(options)])
  expect(app.get(Entitycast).connectionState()).toBe('disconnected')
  await server.advance(0)
  expect(server.requests).toEqual([])
  app.destroy()
})

it('injectEvents ends with what it was injected into, and not with the application', async () => {
  const server = createFakeServer()
  const subscriber = server.subscriber()
  const app = injector([...platform().providers, provideEntitycast({ subscriber })])
  const component = injector([], app)
  const got: unknown[] = []
  runInInjectionContext(component, () => injectEvents('lock:*', ({ data }) => got.push(data)))
  await server.connect(subscriber)
  await server.push({ type: 'lock:acquired', data: 1 })
  component.destroy()
  await server.push({ type: 'lock:acquired', data: 2 })
  expect([got, subscriber.state]).toEqual([[1], 'connected'])
  app.destroy()
  expect(subscriber.state).toBe('connected')
  server.close()
})
