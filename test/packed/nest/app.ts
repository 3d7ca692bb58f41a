/**
 * A Nest application as users have it, run by `nest.test.ts` with Nest 11 and 12, on the platform that its argument names. It serves until
 * its standard input ends, then closes with streams open, says how long that took, and has to end by itself.
 */
import 'reflect-metadata'
import { channelName } from '@entitycast/sse-protocol'
import { EventHub } from '@entitycast/sse-server'
import { EventsModule, openStream, type PlatformRequest, type PlatformResponse } from '@entitycast/sse-server/nest'
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  Module,
  Param,
  Post,
  Req,
  Res,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { EventEmitter2, EventEmitterModule } from '@nestjs/event-emitter'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'

type AuthenticatedRequest = PlatformRequest & { user: { projectId: string; sub: string } }

/** Any token `<user>@<project>` will do here. */
@Injectable()
class TokenGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ headers: Record<string, string | undefined>; user?: unknown }>()
    const [sub, projectId] = request.headers.authorization?.replace('Bearer ', '').split('@') ?? []
    if (!sub || !projectId) throw new UnauthorizedException()
    request.user = { sub, projectId }
    return true
  }
}

@Controller('api/events')
class EventsController {
  constructor(@Inject(EventHub) private readonly hub: EventHub) {}

  @Get('stream')
  @UseGuards(TokenGuard)
  stream(@Req() req: AuthenticatedRequest, @Res() res: PlatformResponse): Promise<void> {
    return openStream(this.hub, req, res, { projectId: req.user.projectId, userId: req.user.sub })
  }
}

/** A publisher that has never heard of the hub. */
@Controller('api/documents')
class DocumentsController {
  constructor(@Inject(EventEmitter2) private readonly emitter: EventEmitter2) {}

  @Post(':project/:id')
  change(@Param('project') projectId: string, @Param('id') id: string): { emitted: boolean } {
    const event = { type: 'entity.updated', entity: 'document', id, projectId, data: { status: 'done' } }
    return { emitted: this.emitter.emit(channelName(projectId), event) }
  }
}

@Module({
  imports: [
    EventEmitterModule.forRoot(),
    EventsModule.forRoot({ eventEmitter: true, hub: { heartbeatIntervalMs: 30_000 } }),
  ],
  controllers: [EventsController, DocumentsController],
})
class AppModule {}

const platform = process.argv[2]
const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter()
const app = await NestFactory.create(AppModule, adapter, { logger: ['error', 'warn'] })
await app.listen(0, '127.0.0.1')
console.log(`listening ${await app.getUrl()}`)
for await (const _ of process.stdin);
const startedAt = Date.now()
console.log(`open ${app.get(EventHub).connections().length}`)
await app.close()
console.log(`closed ${Date.now() - startedAt}`)
