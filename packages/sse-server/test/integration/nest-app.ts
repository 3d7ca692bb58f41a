import 'reflect-metadata'
import type { AddressInfo } from 'node:net'
import { EventHub, type Grant } from '@entitycast/sse-server'
import {
  EventsModule,
  type EventsModuleOptions,
  openStream,
  type PlatformRequest,
  type PlatformResponse,
} from '@entitycast/sse-server/nest'
import type { StreamOptions } from '@entitycast/sse-server/node'
import {
  type CanActivate,
  Controller,
  Get,
  Header,
  HttpException,
  type INestApplication,
  Inject,
  Module,
  Req,
  Res,
  type Type,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'

/**
 * The smallest Nest application with a guarded stream, on either platform. Everything is injected by its token, so that it needs no
 * decorator metadata: esbuild, SWC and tsc compile it alike.
 */

export interface NestAppOptions {
  platform: 'express' | 'fastify'
  events?: EventsModuleOptions
  /** More modules, such as `EventEmitterModule.forRoot()`. */
  imports?: Parameters<typeof Module>[0]['imports']
  /** What the guard finds in the request's headers. Default: everyone is the user u1 of the project p1. */
  grant?(header: (name: string) => string | undefined): Grant | null | Promise<Grant | null>
  stream?: StreamOptions<PlatformRequest>
  /** What the application sets up for all its routes. */
  configure?(app: INestApplication): void
}

export interface NestApp {
  readonly app: INestApplication
  readonly hub: EventHub
  readonly url: string
}

type GuardedRequest = PlatformRequest & { headers: Record<string, string | undefined>; grant: Grant }

export async function startNestApp(options: NestAppOptions): Promise<NestApp> {
  const module = appModule(options)
  const settings = { logger: false, abortOnError: false } as const
  const app =
    options.platform === 'fastify'
      ? await NestFactory.create(module, new (await import('@nestjs/platform-fastify')).FastifyAdapter(), settings)
      : await NestFactory.create(module, settings)
  options.configure?.(app)
  await app.listen(0, '127.0.0.1')
  const { port } = app.getHttpServer().address() as AddressInfo
  return { app, hub: app.get(EventHub), url: `http://127.0.0.1:${port}` }
}

function appModule({
  events,
  imports = [],
  grant = () => ({ projectId: 'p1', userId: 'u1' }),
  stream,
}: NestAppOptions): Type {
  const guard: CanActivate = {
    async canActivate(context) {
      const request = context.switchToHttp().getRequest<GuardedRequest>()
      const found = await Promise.resolve()
        .then(() => grant((name) => request.headers[name]))
        .catch((error) => {
          throw new HttpException(error.message, error.status)
        })
      if (!found) throw new UnauthorizedException()
      request.grant = found
      return true
    },
  }

  @Controller()
  class EventsController {
    constructor(@Inject(EventHub) private readonly hub: EventHub) {}

    @Get('stream')
    @UseGuards(guard)
    open(@Req() request: GuardedRequest, @Res() response: PlatformResponse) {
      return openStream(this.hub, request, response, request.grant, stream)
    }

    @Get('stats')
    @Header('cache-control', 'no-store')
    stats() {
      return this.hub.stats()
    }
  }

  @Module({ imports: [EventsModule.forRoot(events), ...imports], controllers: [EventsController] })
  class AppModule {}

  return AppModule
}
