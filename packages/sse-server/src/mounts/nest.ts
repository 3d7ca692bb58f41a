import {
  type AnyHub,
  assertDrainMs,
  EventHub,
  type EventHubOptions,
  type Grant,
  HubError,
} from '@entitycast/sse-server'
import { type NodeRequest, type NodeResponse, type StreamOptions, serveNode } from '@entitycast/sse-server/node'
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Logger,
  Module,
  type ModuleMetadata,
  type OnModuleInit,
} from '@nestjs/common'
import { ModuleRef, ModulesContainer } from '@nestjs/core'
import { type AnyEmitter, bridgeEmitter, isEmitterToken } from './nest-bridge'

export interface EventsModuleOptions {
  /** Options of the hub, or a hub that was made elsewhere. Either way the module closes it when the application closes. */
  hub?: EventHubOptions | AnyHub
  /**
   * Carries what the application emits through `@nestjs/event-emitter` as `events.<projectId>` or `events.<projectId>.<channel>` into the
   * hub. Project ids that may hold a dot need `channelName(projectId)`, as everywhere. Default false.
   *
   * eventemitter2 does not throw for an `error` event without a listener while somebody listens to all events, as this does.
   */
  eventEmitter?: boolean
  /** How long `app.close()` spreads the clients' reconnects, in milliseconds. Default 0. */
  drainMs?: number
}

export interface EventsModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'>, Pick<FactoryProvider, 'inject'> {
  useFactory(...args: unknown[]): EventsModuleOptions | Promise<EventsModuleOptions>
  /** Whether `EventHub` can be injected without importing this module again. Default true. */
  global?: boolean
}

const OPTIONS = Symbol('entitycast.events-module.options')

/**
 * Provides `EventHub`, by its class, to the whole application, and closes it before the HTTP server stops, so that `app.close()` returns
 * with streams open.
 *
 * @example
 * @Module({ imports: [EventsModule.forRoot({ hub: { heartbeatIntervalMs: 30_000 } })] })
 * class AppModule {}
 */
@Module({})
export class EventsModule implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger('EventsModule')
  #unbridge: (() => void) | undefined

  constructor(
    @Inject(EventHub) readonly hub: EventHub,
    @Inject(OPTIONS) readonly options: EventsModuleOptions,
    @Inject(ModulesContainer) readonly modules: ModulesContainer,
    @Inject(ModuleRef) readonly moduleRef: ModuleRef,
  ) {
    if (options.drainMs !== undefined) assertDrainMs(options.drainMs)
  }

  static forRoot({
    global,
    ...options
  }: EventsModuleOptions & Pick<EventsModuleAsyncOptions, 'global'> = {}): DynamicModule {
    return EventsModule.forRootAsync({ global, useFactory: () => options })
  }

  /**
   * @example
   * EventsModule.forRootAsync({
   *   inject: [ConfigService],
   *   useFactory: (config: ConfigService) => ({ hub: { heartbeatIntervalMs: config.get('SSE_HEARTBEAT_INTERVAL_MS') } }),
   * })
   */
  static forRootAsync({
    imports = [],
    inject = [],
    useFactory,
    global = true,
  }: EventsModuleAsyncOptions): DynamicModule {
    return {
      module: EventsModule,
      global,
      imports,
      providers: [
        { provide: OPTIONS, inject, useFactory },
        { provide: EventHub, inject: [OPTIONS], useFactory: makeHub },
      ],
      exports: [EventHub],
    }
  }

  onModuleInit(): void {
    if (this.options.eventEmitter) this.#unbridge = bridgeEmitter(this.hub, this.#emitter(), this.#logger)
  }

  /** After every `onModuleDestroy`, which may still publish, and before the server stops listening. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.hub.close({ drainMs: this.options.drainMs ?? 0 })
    this.#unbridge?.()
  }

  #emitter(): AnyEmitter {
    for (const module of this.modules.values()) {
      for (const token of module.providers.keys()) {
        if (isEmitterToken(token)) return this.moduleRef.get(token, { strict: false })
      }
    }
    throw new Error(
      'eventEmitter: true needs EventEmitterModule.forRoot() of @nestjs/event-emitter among the imports of the application',
    )
  }
}

/** A request of Nest's Express platform, or of its Fastify platform. */
export type PlatformRequest = (NodeRequest | { raw: NodeRequest }) & { ip?: string | undefined; originalUrl?: string }

/** A response of Nest's Express platform, or a reply of its Fastify platform. */
export type PlatformResponse =
  | NodeResponse
  | { raw: NodeResponse; hijack(): unknown; getHeaders(): Record<string, number | string | string[] | undefined> }

/**
 * Answers a route of an application's own controller with the events that `grant` covers; the application's guards have checked who asks.
 * Both platforms. Resolves when the stream is open or refused. Never rejects.
 *
 * @example
 * @Get('stream') @UseGuards(JwtAuthGuard)
 * stream(@Req() req, @Res() res) {
 *   return openStream(this.hub, req, res, { projectId: req.user.projectId, userId: req.user.sub })
 * }
 */
export function openStream<Req extends PlatformRequest>(
  hub: AnyHub,
  req: Req,
  res: PlatformResponse,
  grant: Grant,
  options: StreamOptions<Req> = {},
): Promise<void> {
  const platformRequest: PlatformRequest = req
  const rawRequest = 'raw' in platformRequest ? platformRequest.raw : platformRequest
  const details = { url: req.originalUrl, ip: req.ip, isGranted: true }
  const settings = { ...options, authorize: () => grant }
  if (!('raw' in res)) return serveNode(hub, settings, req, rawRequest, res, details)
  // Fastify: its headers (CORS, request ids) wait in the reply, and it must not answer by itself.
  res.hijack()
  return serveNode(hub, settings, req, rawRequest, res.raw, { ...details, headers: res.getHeaders() })
}

function makeHub({ hub = {}, eventEmitter: _, drainMs: __, ...misplaced }: EventsModuleOptions): AnyHub {
  for (const name of Object.keys(misplaced))
    throw new HubError(
      'INVALID_OPTION',
      `${name} is not an option of EventsModule; there are hub, eventEmitter, drainMs, and the hub's own go into hub: { ${name}: … }`,
    )
  if (isHub(hub)) return hub
  const logger = new Logger(EventHub.name)
  return new EventHub({
    logger: {
      warn: (message, details) => logger.warn(message, ...(details ? [details] : [])),
      error: (message, details) => logger.error(message, ...(details ? [details] : [])),
    },
    ...hub,
  })
}

/** By shape: there may be two copies of the class. */
function isHub(hub: EventHubOptions | AnyHub): hub is AnyHub {
  return 'connect' in hub
}
