import { SubscriberError, type SubscriberErrorCode } from './error'
import type { SubscriberOptions } from './request'

/** What went wrong, and whether it would be tried again. */
export interface Failure {
  readonly code: SubscriberErrorCode
  readonly message: string
  readonly retrying?: boolean
  readonly status?: number | undefined
  readonly cause?: unknown
}

export function errorOf(failure: Failure): SubscriberError {
  return new SubscriberError(failure.code, failure.message, failure)
}

/** The failure as an error, after the application was asked: it may know better whether to try again. */
export function decide(
  failure: Failure,
  attempt: number,
  { shouldRetry }: SubscriberOptions,
  to: { failed(error: SubscriberError): void },
): SubscriberError {
  const error = errorOf(failure)
  try {
    const retrying = shouldRetry?.(error, { attempt }) ?? error.retrying
    // Without types it may be async: its answer comes too late, and nobody else hears of its failure.
    const late = retrying as unknown as Partial<Promise<unknown>>
    if (late.catch) throw late.catch(() => {})
    return retrying === error.retrying ? error : errorOf({ ...failure, retrying })
  } catch (cause) {
    to.failed(errorOf({ code: 'HANDLER_FAILED', message: 'shouldRetry threw or rejected', cause }))
    return error
  }
}
