// The design's lines for Nest as they stand there. They leave out the module's class, and the types of the parameters.
import 'reflect-metadata'
import { EventHub } from '@entitycast/sse-server'
import { EventsModule, openStream } from '@entitycast/sse-server/nest'
import { Controller, Get, Inject, Module, Req, Res, UseGuards } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { EventEmitter2, EventEmitterModule } from '@nestjs/event-emitter'
import assert from 'node:assert/strict'

class JwtAuthGuard {
  canActivate(context: import('@nestjs/common').ExecutionContext) {
    context.switchToHttp().getRequest().user = { projectId: 'proj_123', sub: 'u1' }
    return true
  }
}

// >>> design-nest
@Module({ imports: [EventsModule.forRoot({ hub: { heartbeatIntervalMs: 30_000 } })] })
// <<<
class EventsFeature {}

// >>> design-nest
@Controller('api/events')
class EventsController {
  constructor(@Inject(EventHub) private readonly hub: EventHub) {}
  @Get('stream') @UseGuards(JwtAuthGuard)
  stream(@Req() req, @Res() res) { return openStream(this.hub, req, res, { projectId: req.user.projectId, userId: req.user.sub }) }
}
// <<<

@Module({ imports: [EventsFeature], controllers: [EventsController] })
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
await app.listen(0, '127.0.0.1')
const stream = await open(`${await app.getUrl()}/api/events/stream`)
await app.get(EventHub).project('proj_123').updated('document', 'doc_456', { embeddedChunks: 5 })
assert.match(await stream.until('doc_456'), /event: entity.updated/)
await app.close()
await stream.until('event: closing')

// apps that already emit through EventEmitter2
@Module({ imports: [EventEmitterModule.forRoot(), EventsModule.forRoot({ eventEmitter: true })], controllers: [EventsController] })
class EmittingModule {}

const emitting = await NestFactory.create(EmittingModule, { logger: ['error', 'warn'] })
await emitting.listen(0, '127.0.0.1')
const bridged = await open(`${await emitting.getUrl()}/api/events/stream`)
emitting.get(EventEmitter2).emit('events.proj_123', { type: 'entity.deleted', entity: 'document', id: 'doc_9' })
assert.match(await bridged.until('doc_9'), /event: entity.deleted/)
await emitting.close()
console.log('ran')

async function open(url: string) {
  const response = await fetch(url)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let seen = ''
  const until = async (part: string) => {
    while (!seen.includes(part)) seen += (await reader.read()).value ?? assert.fail(`the stream ended without ${part}`)
    return seen
  }
  await until('event: connected')
  return { until }
}
