const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** What is to happen to spans when the process ends. Neither may reject. */
export interface ProcessEnd {
  /** Sends what there is; more may come. */
  flush(): Promise<void>
  /** Sends what there is; nothing more will come. */
  shutdown(): Promise<void>
}

/**
 * Watches for the end of the process.
 *
 * | what happens | what is done |
 * |---|---|
 * | nothing is left to do (`beforeExit`) | shutdown |
 * | SIGTERM or SIGINT, and no other listener | shutdown, then the signal again, which now ends the process |
 * | one of them again, before that is done | the signal again at once: the sender will not wait |
 * | SIGTERM or SIGINT, and the application listens | flush: it is ending itself, and may still be making spans |
 * | `process.exit()` | nothing: it waits for no promise |
 *
 * @returns ends the watch
 */
export function watchProcessEnd(end: ProcessEnd): () => void {
  let ending = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (process.listenerCount(signal) > 1) {
      void end.flush()
      return
    }
    const again = (): void => {
      forget()
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
    }
    if (ending) again()
    else void end.shutdown().then(again)
    ending = true
  }
  const onBeforeExit = (): void => void end.shutdown()
  const forget = (): void => {
    for (const signal of SIGNALS) process.removeListener(signal, onSignal)
    process.removeListener('beforeExit', onBeforeExit)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  process.once('beforeExit', onBeforeExit)
  return forget
}
