/**
 * For a log of errors: what lies after this place is no event of ours. Why, as far as a code or a kind says it: messages of parsers quote
 * what they were given, and that may be anybody's secret.
 */
export function foreignAfter(offset: number, thrown: unknown): Error {
  const { code, name } = (thrown ?? {}) as { code?: unknown; name?: unknown }
  return new Error(`what the log holds after ${offset} is no event of ours (${String(code ?? name)})`)
}
