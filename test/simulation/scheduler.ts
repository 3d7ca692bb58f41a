/** Virtual time: tasks by when they are due, and nothing else moves the clock. */
export class Scheduler {
  /** Milliseconds since the world began; never goes back. */
  time = 0
  /** What the system's clock says beyond that: it may jump. */
  wallOffset = Date.UTC(2026, 0, 1)
  #heap: Task[] = []
  #order = 0

  at(time: number, run: () => void): () => void {
    const task: Task = { time: Math.max(time, this.time), order: this.#order++, run, cancelled: false }
    this.#push(task)
    return () => {
      task.cancelled = true
    }
  }

  after(delayMs: number, run: () => void): () => void {
    return this.at(this.time + delayMs, run)
  }

  /** When the next task is due. */
  get next(): number | undefined {
    while (this.#heap[0]?.cancelled) this.#pop()
    return this.#heap[0]?.time
  }

  /** Runs the next task, and then every promise that it settled. */
  async step(): Promise<void> {
    const task = this.#pop()
    if (!task || task.cancelled) return
    this.time = task.time
    task.run()
    await drain()
  }

  #push(task: Task): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(task)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(task, heap[parent] as Task)) break
      heap[i] = heap[parent] as Task
      i = parent
    }
    heap[i] = task
  }

  #pop(): Task | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (!top || !last || heap.length === 0) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Task, heap[child] as Task)) child++
      if (!before(heap[child] as Task, last)) break
      heap[i] = heap[child] as Task
      i = child
    }
    heap[i] = last
    return top
  }
}

interface Task {
  readonly time: number
  readonly order: number
  readonly run: () => void
  cancelled: boolean
}

function before(a: Task, b: Task): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order)
}

/** Resolves when no microtask is left: Node runs a tick only then, and it costs a tenth of a turn of the event loop. */
export function drain(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve)
  })
}
