import type { EventOf } from '@entitycast/sse-protocol'
import type { User } from '../shared/api'
import type { AppEvents } from '../shared/events'
import { counted, firstName } from './format'
import type { Toast } from './toasts'

/** What a notification says to this user; null for what is no notification. */
export function noticeOf(
  event: EventOf<AppEvents>,
  user: User,
  userOf: (userId: string) => User,
): Omit<Toast, 'id'> | null {
  const nameOf = (userId: string) => (userId === user.id ? 'you' : firstName(userOf(userId).name))
  switch (event.type) {
    case 'submission:approved':
      return { tone: 'good', text: `“${event.data.title}” approved by ${nameOf(event.data.by)}` }
    case 'submission:rejected':
      return { tone: 'bad', text: `“${event.data.title}” rejected by ${nameOf(event.data.by)}` }
    case 'participants:overdue':
      return {
        tone: 'warn',
        text: `${counted(event.data.count, 'participant')} overdue`,
        detail: event.data.participants.join(', '),
      }
    case 'submission:answered':
      return {
        tone: 'mail',
        text: `Your “${event.data.title}” was ${event.data.status}`,
        detail: event.data.comment ?? undefined,
      }
    default:
      return null
  }
}
