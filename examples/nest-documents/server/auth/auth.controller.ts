import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpCode,
  Inject,
  Post,
  UnauthorizedException,
} from '@nestjs/common'
import type { Person, Session } from '../../shared/model.js'
import { findPerson, PEOPLE } from './people.js'
import { Tokens } from './tokens.js'

@Controller('api/auth')
export class AuthController {
  constructor(@Inject(Tokens) private readonly tokens: Tokens) {}

  /** The demo has no passwords: pick somebody. */
  @Get('people')
  people(): readonly Person[] {
    return PEOPLE
  }

  @Post('sign-in')
  @HttpCode(200)
  async signIn(@Body() body: { personId?: string } | undefined): Promise<Session> {
    const person = findPerson(body?.personId)
    if (!person) throw new BadRequestException('personId must be one of GET /api/auth/people')
    return { person, ...(await this.tokens.issue(person.id)) }
  }

  @Post('refresh')
  @HttpCode(200)
  async refresh(@Body() body: { refreshToken?: string } | undefined): Promise<Session> {
    const token = body?.refreshToken
    const claims = typeof token === 'string' ? await this.tokens.verify(token, 'refresh') : null
    const person = findPerson(claims?.userId)
    if (!person) throw new UnauthorizedException('Sign in again')
    return { person, ...(await this.tokens.issue(person.id)) }
  }
}
