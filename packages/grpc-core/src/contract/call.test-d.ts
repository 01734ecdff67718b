import type { Metadata } from '@grpc/grpc-js'
import type { Call, ClientCall, MessageTap, StatusTap } from './call.ts'

declare const call: Call
declare const client: ClientCall
declare const message: MessageTap
declare const status: StatusTap
const seen: unknown[] = []

// Taps may return what they like,
call.onRequest((given) => given)
call.onRequest(() => undefined)
call.onRequest((given) => void seen.push(given))
call.onResponse((given) => seen.push(given))
call.onResponse(message)
call.onResponse(() => ({ text: 'another' }))
call.onResponseMetadata((metadata) => metadata.set('a', 'b'))
call.onStatus(({ code }) => seen.push(code))
call.onStatus(status)
client.onAttempt(() => status)

// and are not async.
// @ts-expect-error
call.onRequest(async (given) => given)
// @ts-expect-error
call.onResponse(async () => undefined)
// @ts-expect-error
call.onResponse((given) => (given === undefined ? Promise.resolve(given) : 'x'))
// @ts-expect-error
call.onResponseMetadata(async (metadata: Metadata) => metadata)
// @ts-expect-error
call.onResponseMetadata(() => ({ a: 'b' }))
// @ts-expect-error
call.onStatus(async () => undefined)
// @ts-expect-error
client.onAttempt(async () => undefined)
