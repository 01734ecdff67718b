import assert from 'node:assert/strict'
import { type Client, getChannelzHandlers } from '@grpc/grpc-js'

/** What of this process could outlive a call. */
export interface Resources {
  readonly timers: number
  readonly listeners: number
}

export function resources(): Resources {
  return {
    timers: process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  }
}

// grpc-js and Node need a moment to close a connection; more than this is not closing.
const PATIENCE_MS = 1000

/** Fails unless the process holds no more than it did before. */
export async function assertNothingLeft(before: Resources): Promise<void> {
  const start = performance.now()
  let now = resources()
  while (now.timers > before.timers || now.listeners > before.listeners) {
    if (performance.now() - start > PATIENCE_MS) {
      assert.deepEqual({ leftBehind: now }, { leftBehind: before })
      return
    }
    await new Promise((resolve) => setImmediate(resolve))
    now = resources()
  }
}

interface ChannelzChannel {
  readonly channel?: {
    readonly data?: Readonly<Record<`calls_${'started' | 'succeeded' | 'failed'}`, string | number>>
  }
}

/** Fails unless each call the channel started has ended: one that has not keeps it from going idle for ever. */
export async function assertCallsCounted(client: Client, where: string): Promise<void> {
  const start = performance.now()
  let open = await openCalls(client)
  while (open !== 0 && performance.now() - start < PATIENCE_MS) {
    await new Promise((resolve) => setImmediate(resolve))
    open = await openCalls(client)
  }
  assert.equal(open, 0, `interceptors on ${where}: the channel still counts ${open} calls as running`)
}

async function openCalls(client: Client): Promise<number> {
  const { id } = client.getChannel().getChannelzRef()
  const getChannel = getChannelzHandlers().GetChannel as unknown as (
    call: { request: { channel_id: string } },
    respond: (error: unknown, response?: ChannelzChannel) => void,
  ) => void
  const response = await new Promise<ChannelzChannel | undefined>((resolve) => {
    getChannel({ request: { channel_id: String(id) } }, (_error, found) => resolve(found))
  })
  const data = response?.channel?.data
  if (data === undefined) return 0
  return Number(data.calls_started) - Number(data.calls_succeeded) - Number(data.calls_failed)
}
