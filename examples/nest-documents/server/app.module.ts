import { EventsModule } from '@entitycast/sse-server/nest'
import { RedisAdapter } from '@entitycast/sse-server/redis'
import { Global, Module } from '@nestjs/common'
import { EventEmitterModule } from '@nestjs/event-emitter'
import { createClient } from 'redis'
import { Activity } from './activity/activity.js'
import { AuthController } from './auth/auth.controller.js'
import { JwtAuthGuard } from './auth/jwt-auth.guard.js'
import { Tokens } from './auth/tokens.js'
import { CONFIG, type Config, readConfig } from './config.js'
import { Database } from './database.js'
import { DocumentsController } from './documents/documents.controller.js'
import { DocumentsService } from './documents/documents.service.js'
import { DocumentStore } from './documents/documents.store.js'
import { EmbeddingWorker } from './embedding/embedding.worker.js'
import { EventsController } from './events.controller.js'

@Global()
@Module({
  providers: [{ provide: CONFIG, useFactory: () => readConfig(process.env) }],
  exports: [CONFIG],
})
export class ConfigModule {}

@Module({
  imports: [
    ConfigModule,
    EventEmitterModule.forRoot(),
    EventsModule.forRootAsync({
      inject: [CONFIG],
      useFactory: (config: Config) => ({
        hub: {
          heartbeatIntervalMs: config.heartbeatIntervalMs,
          retryMs: config.reconnectTimeoutMs,
          // A burst of updates of one document within 100 ms becomes one event.
          conflateWindowMs: 100,
          // All that it takes to run on several instances.
          ...(config.redisUrl ? { adapter: new RedisAdapter(createClient({ url: config.redisUrl })) } : {}),
        },
        eventEmitter: true,
      }),
    }),
  ],
  controllers: [AuthController, DocumentsController, EventsController],
  providers: [Database, Tokens, JwtAuthGuard, DocumentStore, DocumentsService, Activity, EmbeddingWorker],
})
export class AppModule {}
