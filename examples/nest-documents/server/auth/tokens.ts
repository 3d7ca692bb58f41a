import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Inject, Injectable } from '@nestjs/common'
import { jwtVerify, SignJWT } from 'jose'
import { CONFIG, type Config } from '../config.js'

type Use = 'access' | 'refresh'

const ISSUER = 'nest-documents'
const REFRESH_TTL_S = 12 * 3600

export interface Claims {
  userId: string
  /** Milliseconds since 1970. */
  expiresAt: number
}

/** Signs and checks the demo's JWTs. The secret is made at the first start, so tokens outlive a restart of the server
 * and are good at every instance. */
@Injectable()
export class Tokens {
  readonly #secret: Uint8Array
  readonly #accessTtlS: number

  constructor(@Inject(CONFIG) config: Config) {
    this.#secret = readOrCreateSecret(join(config.dataDir, 'jwt-secret'))
    this.#accessTtlS = config.accessTokenTtlS
  }

  async issue(userId: string): Promise<{ accessToken: string; refreshToken: string }> {
    return {
      accessToken: await this.#sign(userId, 'access', this.#accessTtlS),
      refreshToken: await this.#sign(userId, 'refresh', REFRESH_TTL_S),
    }
  }

  /** The token's claims; `null` where it is not ours, not for this use, or expired. */
  async verify(token: string, use: Use): Promise<Claims | null> {
    try {
      const { payload } = await jwtVerify(token, this.#secret, {
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience: use,
        requiredClaims: ['sub', 'exp'],
      })
      return { userId: payload.sub as string, expiresAt: (payload.exp as number) * 1000 }
    } catch {
      return null
    }
  }

  #sign(userId: string, use: Use, ttlS: number): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    return new SignJWT()
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(ISSUER)
      .setAudience(use)
      .setSubject(userId)
      .setIssuedAt(now)
      .setExpirationTime(now + ttlS)
      .sign(this.#secret)
  }
}

function readOrCreateSecret(path: string): Uint8Array {
  try {
    const kept = readFileSync(path)
    if (kept.length === 32) return kept
    throw new Error(`${path} is damaged; delete it and everyone signs in anew`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    // Whole or not at all, and once: another instance may start at the same moment.
    const draft = `${path}.${process.pid}`
    writeFileSync(draft, randomBytes(32), { mode: 0o600 })
    try {
      linkSync(draft, path)
    } catch (linking) {
      if ((linking as NodeJS.ErrnoException).code !== 'EEXIST') throw linking
    } finally {
      unlinkSync(draft)
    }
    return readFileSync(path)
  }
}
