import { SubscriberError, type SubscriberErrorCode } from './error'
import type { SubscriberOptions } from './request'

/** What went wrong, and whether it would be tried again. */
export interface Failure {
  readonly code: SubscriberErrorCode
  readonly message: string
  readonly retrying?: boolean
  readonly status?: number
  readonly cause?: unknown
}

/** The failure as an error, after the application was asked: it may know better whether to try again. */
export function decide(
  { code, message, retrying = true, ...details }: Failure,
  attempt: number,
  { shouldRetry }: SubscriberOptions,
  report: (error: SubscriberError) => void,
): SubscriberError {
  const error = new SubscriberError(code, message, { ...details, retrying })
  try {
    const decided = shouldRetry?.(error, { attempt }) ?? retrying
    return decided === retrying ? error : new SubscriberError(code, message, { ...details, retrying: decided })
  } catch (cause) {
    report(new SubscriberError('HANDLER_FAILED', 'shouldRetry threw', { cause }))
    return error
  }
}
