import type { SubscriberOptions } from '@entitycast/sse-client'

/** A subscriber that the provider makes: another one when `url`, `projectId`, `channels` or `credentials` change. */
export interface OwnSubscriber extends SubscriberOptions {
  url: string
  /** False closes the stream: for a feature flag. Default true. */
  enabled?: boolean | undefined
  subscriber?: undefined
}

/** A subscriber that the application made; it connects and closes it by itself. */
export type GivenSubscriber<Subscriber> = { subscriber: Subscriber } & {
  [Name in Exclude<keyof OwnSubscriber, 'subscriber'>]?: undefined
}
