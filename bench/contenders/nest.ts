import 'reflect-metadata'
import type { Server } from 'node:http'
import { Controller, type MessageEvent, Module, Sse } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { type Observable, Subject } from 'rxjs'
import type { Contender } from './contender'
import { EVENT_NAME, idOf, payloadOf } from './event'
import { listening } from './listening'

/** Nest's own `@Sse()`: a Subject that every stream subscribes to. */
export function nestSse(): Contender {
  const events = new Subject<MessageEvent>()

  @Controller()
  class StreamController {
    @Sse('stream')
    stream(): Observable<MessageEvent> {
      return events
    }
  }

  @Module({ controllers: [StreamController] })
  class AppModule {}

  return {
    async listen() {
      const app = await NestFactory.create(AppModule, { logger: false })
      await app.init()
      return listening(app.getHttpServer() as Server)
    },
    publish(published) {
      for (const event of published) {
        events.next({ type: EVENT_NAME, id: idOf(event), data: payloadOf(event) })
      }
    },
  }
}
