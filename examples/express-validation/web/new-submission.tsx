import { type FormEvent, useEffect, useRef, useState } from 'react'
import type { Submission } from '../shared/events'
import { api, messageOf } from './api'

interface NewSubmissionProps {
  kinds: string[]
  onSubmitted: (submission: Submission) => void
  onClose: () => void
}

const DUE_IN = [
  { label: 'in 4 hours', hours: 4 },
  { label: 'tomorrow', hours: 24 },
  { label: 'in 3 days', hours: 72 },
]

export function NewSubmission({ kinds, onSubmitted, onClose }: NewSubmissionProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [error, setError] = useState<string>()
  useEffect(() => {
    // StrictMode runs effects twice, and a dialog that is open cannot be opened.
    if (!dialog.current?.open) dialog.current?.showModal()
  }, [])

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const fields = new FormData(event.currentTarget)
    const dueAt = new Date(Date.now() + Number(fields.get('hours')) * 3_600_000).toISOString()
    try {
      onSubmitted(
        await api.submit({ kind: String(fields.get('kind')), participant: String(fields.get('participant')), dueAt }),
      )
      dialog.current?.close()
    } catch (thrown) {
      setError(messageOf(thrown))
    }
  }

  return (
    <dialog ref={dialog} className="dialog" aria-labelledby="new-title" onClose={onClose}>
      <form onSubmit={submit}>
        <h2 id="new-title">New submission</h2>
        <label className="field">
          Kind
          <select name="kind">
            {kinds.map((kind) => (
              <option key={kind}>{kind}</option>
            ))}
          </select>
        </label>
        <label className="field">
          Participant
          <input name="participant" required maxLength={120} autoComplete="off" />
        </label>
        <label className="field">
          Due
          <select name="hours" defaultValue="24">
            {DUE_IN.map(({ label, hours }) => (
              <option key={hours} value={hours}>
                {label}
              </option>
            ))}
          </select>
        </label>
        {error && (
          <p className="error" role="alert">
            {error}
          </p>
        )}
        <div className="dialog-buttons">
          <button type="button" className="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" className="button button-primary">
            Submit
          </button>
        </div>
      </form>
    </dialog>
  )
}
