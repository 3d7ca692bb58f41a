// The README's server with Nest: its guard, and an application around its module.
import 'reflect-metadata'
import { EventSubscriber } from '@entitycast/sse-client'
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { Request } from 'express'
import assert from 'node:assert/strict'

type AuthenticatedRequest = Request & { user: { projectId: string; sub: string } }

@Injectable()
class JwtAuthGuard implements CanActivate {
  canActivate(context: ExecutionContext) {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>()
    request.user = { projectId: 'proj_123', sub: 'u1' }
    return request.get('authorization') === 'Bearer secret'
  }
}

// >>> nest-server
import { Controller, Get, Inject, Module, Req, Res, UseGuards } from '@nestjs/common'
import { EventHub } from '@entitycast/sse-server'
import { EventsModule, openStream } from '@entitycast/sse-server/nest'
import type { Response } from 'express'

@Controller('api/events')
class EventsController {
  constructor(@Inject(EventHub) private readonly hub: EventHub) {}

  @Get('stream')
  @UseGuards(JwtAuthGuard)
  stream(@Req() req: AuthenticatedRequest, @Res() res: Response) {
    return openStream(this.hub, req, res, { projectId: req.user.projectId, userId: req.user.sub })
  }
}

@Module({
  imports: [EventsModule.forRoot({ hub: { heartbeatIntervalMs: 30_000 } })],
  controllers: [EventsController],
})
export class AppModule {}
// <<<

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
await app.listen(0, '127.0.0.1')
const url = `${await app.getUrl()}/api/events/stream`
assert.equal((await fetch(url)).status, 403)
const reader = new EventSubscriber(url, { projectId: 'proj_123', headers: { authorization: 'Bearer secret' } })
const arrived = new Promise<string | null>((resolve) => reader.subscribe('document:*', ({ id }) => resolve(id)))
await new Promise<void>((resolve) => {
  reader.onState((state) => state === 'connected' && resolve())
  reader.connect()
})
assert.deepEqual(app.get(EventHub).activeUsers('proj_123'), ['u1'])
await app.get(EventHub).project('proj_123').updated('document', 'doc_456', { embeddedChunks: 5 })
assert.equal(await arrived, 'doc_456')
await app.close()
reader.close()
console.log('ran')
