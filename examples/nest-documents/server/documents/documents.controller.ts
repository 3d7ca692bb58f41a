import {
  BadRequestException,
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  NotFoundException,
  Param,
  Post,
  Query,
  Req,
  UnsupportedMediaTypeException,
  UseGuards,
} from '@nestjs/common'
import type { BulkAction, DocumentRow, ProjectData, SearchHit } from '../../shared/model.js'
import { Activity } from '../activity/activity.js'
import { type AuthenticatedRequest, JwtAuthGuard } from '../auth/jwt-auth.guard.js'
import { DocumentsService } from './documents.service.js'

const ACTIONS: Record<BulkAction, string> = { embed: 'started embedding', reset: 'cleared', 're-embed': 're-embedded' }

@Controller('api')
@UseGuards(JwtAuthGuard)
export class DocumentsController {
  constructor(
    @Inject(DocumentsService) private readonly documents: DocumentsService,
    @Inject(Activity) private readonly activity: Activity,
  ) {}

  @Get('documents')
  list(@Req() { caller }: AuthenticatedRequest): Promise<ProjectData> {
    return this.documents.load(caller.projectId)
  }

  /** The text itself is the body: `curl --data-binary @notes.txt -H 'Content-Type: text/plain' …/api/documents?title=notes.txt` */
  @Post('documents')
  async upload(
    @Req() { caller }: AuthenticatedRequest,
    @Query('title') title: unknown,
    @Body() body: unknown,
  ): Promise<DocumentRow> {
    if (typeof title !== 'string' || title.trim() === '' || title.length > 200) {
      throw new BadRequestException('title must be 1 to 200 characters')
    }
    if (typeof body !== 'string') throw new UnsupportedMediaTypeException('Send the text as text/plain')
    if (body.includes('\0')) throw new UnsupportedMediaTypeException('That is not a text file')
    if (body.trim() === '') throw new BadRequestException('The file is empty')
    const { person, projectId } = caller
    const { document } = await this.documents.add(projectId, title.trim(), body, 'queued', person.id)
    await this.activity.record(projectId, person, `uploaded ${document.title}`)
    return document
  }

  @Post('documents/bulk')
  @HttpCode(200)
  async bulk(
    @Req() { caller }: AuthenticatedRequest,
    @Body() body: { action?: unknown; ids?: unknown } | undefined,
  ): Promise<{ changed: number }> {
    const { action, ids } = body ?? {}
    if (!isAction(action)) throw new BadRequestException(`action must be one of ${Object.keys(ACTIONS).join(', ')}`)
    if (ids !== undefined && !isIds(ids))
      throw new BadRequestException('ids must be a list of document ids, or left out for all')
    const { person, projectId } = caller
    const { documentIds } = await this.documents.bulk(projectId, action, ids ?? null, person.id)
    const count = documentIds.length
    if (count > 0) {
      await this.activity.record(
        projectId,
        person,
        `${ACTIONS[action]} ${count} ${count === 1 ? 'document' : 'documents'}`,
      )
    }
    return { changed: count }
  }

  @Delete('documents/:id')
  @HttpCode(204)
  async remove(@Req() { caller }: AuthenticatedRequest, @Param('id') id: string): Promise<void> {
    const { person, projectId } = caller
    const removed = await this.documents.remove(projectId, id, person.id)
    if (!removed) throw new NotFoundException('There is no such document')
    await this.activity.record(projectId, person, `deleted ${removed.title}`)
  }

  @Get('search')
  async search(@Req() { caller }: AuthenticatedRequest, @Query('q') q: unknown): Promise<{ hits: SearchHit[] }> {
    if (typeof q !== 'string' || q.trim() === '' || q.length > 500)
      throw new BadRequestException('q must be 1 to 500 characters')
    return { hits: await this.documents.search(caller.projectId, q, 5) }
  }
}

function isAction(value: unknown): value is BulkAction {
  return typeof value === 'string' && Object.hasOwn(ACTIONS, value)
}

function isIds(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= 10_000 && value.every((id) => typeof id === 'string')
}
