import { type DragEvent, useRef, useState } from 'react'
import { MAX_UPLOAD_BYTES } from '../shared/model'

const TYPES = '.txt,.md,.csv,.log,text/*'

/** Text files by drag and drop, or by the file picker. */
export function UploadArea({ onFiles }: { onFiles: (files: File[]) => void }) {
  const picker = useRef<HTMLInputElement>(null)
  const [over, setOver] = useState(false)

  const drop = (event: DragEvent) => {
    event.preventDefault()
    setOver(false)
    onFiles([...event.dataTransfer.files])
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a drop target beside the button, which does the same by keyboard
    <div
      className={`upload ${over ? 'upload-over' : ''}`}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
        <path
          d="M12 15V4m0 0L8 8m4-4l4 4M5 15v3a2 2 0 002 2h10a2 2 0 002-2v-3"
          fill="none"
          stroke="currentColor"
          strokeWidth="1.7"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      <span>
        Drop text files here, or{' '}
        <button type="button" className="link" onClick={() => picker.current?.click()}>
          choose files
        </button>
      </span>
      <span className="muted small">Up to {MAX_UPLOAD_BYTES / 1024} KB each. Embedding starts by itself.</span>
      <input
        ref={picker}
        type="file"
        className="visually-hidden"
        aria-label="Text files to upload"
        tabIndex={-1}
        accept={TYPES}
        multiple
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])])
          event.target.value = ''
        }}
      />
    </div>
  )
}
