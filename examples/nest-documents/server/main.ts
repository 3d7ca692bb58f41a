// biome-ignore-all lint/correctness/useHookAtTopLevel: app.useBodyParser and its like are Nest, not React hooks
import 'reflect-metadata'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { MAX_UPLOAD_BYTES } from '../shared/model.js'
import { AppModule } from './app.module.js'
import { CONFIG, type Config, EXAMPLE_DIR } from './config.js'
import { Database } from './database.js'
import { DocumentStore } from './documents/documents.store.js'
import { addSamples } from './documents/samples.js'

async function main(): Promise<void> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule, {
    logger: ['warn', 'error'],
    bodyParser: false,
  })
  const config = app.get<Config>(CONFIG)
  await app.get(Database).migrate()
  await addSamples(app.get(DocumentStore))

  app.useBodyParser('json', { limit: '512kb' })
  app.useBodyParser('text', { limit: MAX_UPLOAD_BYTES })
  app.useStaticAssets(join(EXAMPLE_DIR, 'dist/web'), { index: 'index.html' })
  app.enableShutdownHooks()

  await app.listen(config.port, config.host)
  const { port } = app.getHttpServer().address() as AddressInfo
  console.log(`
  Entitycast documents is running at  http://localhost:${port}

  Open it in two tabs, press "Embed all" in one and watch both.
  Data is kept in ${config.dataDir} (DATA_DIR). Ctrl+C stops the server.
`)
}

main().catch((error: NodeJS.ErrnoException & { port?: number }) => {
  if (error.code === 'EADDRINUSE') {
    console.error(`Port ${error.port} is taken by another program. Choose a free one: PORT=4311 npm run demo`)
  } else {
    console.error(error)
  }
  process.exit(1)
})
