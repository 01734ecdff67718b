import type { status as Code } from '@grpc/grpc-js'

/**
 * Cancels a call of grpc-js. Node forgets the reset of an HTTP/2 stream whose request is still to be sent (20 to 26), and the server would go on
 * serving the call until the connection ends. So the cancel of a call that the peer has not answered waits until what was
 * started in this tick has been sent.
 */
export function cancelOnceSent(
  call: { cancelWithStatus(code: Code, details: string): void } | undefined,
  answered: boolean,
  code: Code,
  details: string,
): void {
  const cancel = (): void => call?.cancelWithStatus(code, details)
  if (answered) cancel()
  else process.nextTick(cancel)
}
