import {
  type CanActivate,
  type ExecutionContext,
  ForbiddenException,
  Inject,
  Injectable,
  UnauthorizedException,
} from '@nestjs/common'
import type { Request } from 'express'
import type { Person } from '../../shared/model.js'
import { findPerson } from './people.js'
import { Tokens } from './tokens.js'

/** What the guard has proved about a request. */
export interface Caller {
  person: Person
  projectId: string
  /** When the token runs out, in milliseconds since 1970. */
  expiresAt: number
}

export type AuthenticatedRequest = Request & { caller: Caller }

/** 401 without a valid `Authorization: Bearer`, 403 where `X-Project-Id` is not a project of this person. */
@Injectable()
export class JwtAuthGuard implements CanActivate {
  constructor(@Inject(Tokens) private readonly tokens: Tokens) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>()
    const token = /^Bearer (\S+)$/i.exec(request.get('authorization') ?? '')?.[1]
    const claims = token === undefined ? null : await this.tokens.verify(token, 'access')
    const person = findPerson(claims?.userId)
    if (!claims || !person) throw new UnauthorizedException('Sign in again')

    const projectId = request.get('x-project-id') ?? ''
    if (!person.projects.some((project) => project.id === projectId)) {
      throw new ForbiddenException('X-Project-Id must name a project that you belong to')
    }
    request.caller = { person, projectId, expiresAt: claims.expiresAt }
    return true
  }
}
