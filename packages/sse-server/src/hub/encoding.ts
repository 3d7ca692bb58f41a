import { quote } from '@entitycast/sse-protocol'
import { HubError } from './error'

/** Whether streams are compressed. @throws HubError `INVALID_OPTION` */
export function readCompression(compression: 'gzip' | false | undefined): boolean {
  if (compression === undefined || compression === false) return false
  if (compression === 'gzip') return true
  throw new HubError('INVALID_OPTION', `compression is ${quote(compression)}; it must be 'gzip' or false`)
}

/** With compression the stream is another one for those who accept it. */
export function varying({ vary }: Readonly<Record<string, string>>): { vary: string } {
  return { vary: vary === undefined ? 'Accept-Encoding' : `${vary}, Accept-Encoding` }
}

/** Whether the client takes gzip, by its `Accept-Encoding` (RFC 9110, section 12.5.3), and does not like plain text better. */
export function acceptsGzip(header: string | undefined): boolean {
  if (!header) return false
  const weights = new Map<string, number>()
  for (const part of header.toLowerCase().split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((word) => word.trim())
    weights.set(coding === 'x-gzip' ? 'gzip' : coding, weightOf(parameters))
  }
  const gzip = weights.get('gzip') ?? weights.get('*') ?? 0
  return gzip > 0 && gzip >= (weights.get('identity') ?? 0)
}

/** What cannot be read counts as a refusal: plain text is never wrong. */
function weightOf(parameters: readonly string[]): number {
  const given = parameters.find((parameter) => parameter.startsWith('q='))
  if (given === undefined) return 1
  return /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(given) ? Number(given.slice(2)) : 0
}
