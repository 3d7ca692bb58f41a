/** One frame as it was received. */
export interface ReceivedFrame {
  /** The `event:` line: an event's type, or `connected`, `heartbeat`, `resync`, `closing`. */
  readonly type: string
  /** The cursor, where the frame has one. */
  readonly id: string | undefined
  /** What `data:` says, read as JSON. */
  readonly data: Record<string, unknown>
}

/** Frames out of text, however it was cut. */
export class FrameReader {
  #rest = ''

  /** The frames that are complete now. */
  read(text: string): ReceivedFrame[] {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() as string
    return blocks.flatMap((block) => {
      const fields = new Map<string, string>()
      for (const line of block.split('\n')) {
        const [, name, value] = /^([a-z]+): ?(.*)$/s.exec(line) ?? []
        if (name === undefined || value === undefined) continue
        const before = name === 'data' ? fields.get(name) : undefined
        fields.set(name, before === undefined ? value : `${before}\n${value}`)
      }
      const [type, data] = [fields.get('event'), fields.get('data')]
      return type === undefined || data === undefined ? [] : [{ type, id: fields.get('id'), data: JSON.parse(data) }]
    })
  }
}
