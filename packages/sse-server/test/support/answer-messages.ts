/** In a program that `Child` has started: answers each message with what `handle` resolves with. */
export function answerMessages<Message>(handle: (message: Message) => unknown): void {
  process.on('message', (message: Message) => {
    const run = async () => (await handle(message)) ?? {}
    run().then(
      (answer) => process.send?.(answer),
      (error: Error) => process.send?.({ error: error.stack ?? String(error) }),
    )
  })
  process.on('disconnect', () => process.exit())
}
