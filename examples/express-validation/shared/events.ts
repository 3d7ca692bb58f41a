import { defineEvents } from '@entitycast/sse-protocol'
import * as v from 'valibot'

/*
 * The events of this application, once, for both sides: the hub refuses to publish anything else,
 * and every handler on the page knows the type of `event.data`.
 */

export const StatusSchema = v.picklist(['pending', 'approved', 'rejected'])

/** A submission, as the board shows it and as `entity.created` carries it. */
export const SubmissionSchema = v.object({
  id: v.string(),
  title: v.string(),
  kind: v.string(),
  participant: v.string(),
  facts: v.array(v.object({ label: v.string(), value: v.string() })),
  submittedBy: v.string(),
  submittedAt: v.string(),
  dueAt: v.string(),
  status: StatusSchema,
  decidedBy: v.nullable(v.string()),
  decidedAt: v.nullable(v.string()),
  comment: v.nullable(v.string()),
  version: v.number(),
})

/** Somebody is looking at a submission in order to decide it. */
export const LockSchema = v.object({ submissionId: v.string(), userId: v.string() })

const DecisionNoticeSchema = v.object({ submissionId: v.string(), title: v.string(), by: v.string() })

export const events = defineEvents({
  entities: { submission: v.partial(SubmissionSchema) },
  named: {
    'submission:approved': DecisionNoticeSchema,
    'submission:rejected': DecisionNoticeSchema,
    'participants:overdue': v.object({ count: v.number(), participants: v.array(v.string()) }),
    // Goes to the submitter alone: published with an audience.
    'submission:answered': v.object({
      ...DecisionNoticeSchema.entries,
      status: StatusSchema,
      comment: v.nullable(v.string()),
    }),
    'lock:acquired': LockSchema,
    'lock:released': LockSchema,
    // Something has changed that no event tells: load the board again.
    'board:changed': v.object({}),
  },
})

export type AppEvents = typeof events
export type Status = v.InferOutput<typeof StatusSchema>
export type Submission = v.InferOutput<typeof SubmissionSchema>
export type Lock = v.InferOutput<typeof LockSchema>

/** The two channels: what the table shows, and what is told in a toast. */
export const VALIDATION = 'validation'
export const NOTIFICATIONS = 'notifications'
export const CHANNELS = [VALIDATION, NOTIFICATIONS]
