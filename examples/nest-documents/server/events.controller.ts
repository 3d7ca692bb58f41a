import { EventHub } from '@entitycast/sse-server'
import { openStream } from '@entitycast/sse-server/nest'
import { Controller, Get, Inject, Req, Res, UseGuards } from '@nestjs/common'
import type { Response } from 'express'
import { type AuthenticatedRequest, JwtAuthGuard } from './auth/jwt-auth.guard.js'

/** The stream of a project's events. The app's own guard has done the authentication; the grant says what it found. */
@Controller('api/events')
export class EventsController {
  constructor(@Inject(EventHub) private readonly hub: EventHub) {}

  @Get('stream')
  @UseGuards(JwtAuthGuard)
  stream(@Req() req: AuthenticatedRequest, @Res() res: Response) {
    const { projectId, person, expiresAt } = req.caller
    return openStream(this.hub, req, res, { projectId, userId: person.id, channels: 'all', expiresAt })
  }
}
