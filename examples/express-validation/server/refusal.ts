import type { ErrorRequestHandler } from 'express'
import * as v from 'valibot'

/** An answer that is no success: thrown anywhere in a route, written as `{ error: { code, message } }`. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** A request's body as its schema has it. */
export function readBody<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, body)
  if (result.success) return result.output
  const issue = result.issues[0]
  throw new Refusal(400, 'INVALID_BODY', `${v.getDotPath(issue) ?? 'The body'}: ${issue.message}`)
}

/** The last handler of the app. What is not a refusal is a defect: reported here, and told to nobody outside. */
export const answerErrors: ErrorRequestHandler = (error, _req, res, next) => {
  if (res.headersSent) return next(error)
  if (error instanceof Refusal) {
    res.status(error.status).json({ error: { code: error.code, message: error.message } })
    return
  }
  // express.json() marks what the client did wrong with a status of its own.
  const status = Number(error?.status)
  if (status >= 400 && status < 500) {
    res.status(status).json({ error: { code: 'BAD_REQUEST', message: 'The request cannot be read.' } })
    return
  }
  console.error(error)
  res.status(500).json({ error: { code: 'INTERNAL', message: 'Something went wrong on our side.' } })
}
