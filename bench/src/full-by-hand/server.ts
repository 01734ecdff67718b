import { randomUUID } from 'node:crypto'
import {
  status as Code,
  Metadata,
  Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { context, createContextKey, propagation, ROOT_CONTEXT, type TextMapGetter } from '@opentelemetry/api'
import { serverCredentials } from '../endpoint.ts'
import { Echo, type EchoMethod, MESSAGES, type Payload, SMALL } from '../service.ts'
import type { Sinks } from '../telemetry.ts'
import type { BenchServer } from '../variant.ts'
import { Admission, type Admitted, tokenIn } from './admission.ts'
import { Families } from './families.ts'
import { Recorded } from './recorded.ts'

/** Where handlers find whose call it is, and the id of the request. */
export const PRINCIPAL = createContextKey('principal')
export const REQUEST_ID = createContextKey('request id')

const VALID_ID = /^[A-Za-z0-9._:/+=@~-]{1,128}$/

const fromMetadata: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key)[0]?.toString(),
  keys: (metadata) => Object.keys(metadata.getMap()),
}

type AnyServerCall = ServerUnaryCall<Payload, Payload> &
  ServerReadableStream<Payload, Payload> &
  ServerWritableStream<Payload, Payload> &
  ServerDuplexStream<Payload, Payload>

type Handle = (call: AnyServerCall, rpc: Recorded, respond: sendUnaryData<Payload>) => void

/** A server of the echo service with everything that the full stack does. */
export async function serveByHand({ logger, registry }: Sinks): Promise<BenchServer> {
  const sinks = { families: new Families('server', registry()), logger }
  const admission = new Admission()

  const surround =
    (name: EchoMethod, handle: Handle) =>
    (call: AnyServerCall, callback?: sendUnaryData<Payload>): void => {
      const { metadata } = call
      const peer = call.getPeer()
      const requestId = requestIdIn(metadata)
      const headers = new Metadata()
      headers.set('x-request-id', requestId)
      const parent = propagation.extract(ROOT_CONTEXT, metadata, fromMetadata)
      const rpc = new Recorded('server', name, sinks, call.getHost(), parent, requestId)
      const token = tokenIn(metadata)
      if (token !== undefined) rpc.hide(token)
      call.on('cancelled', () => rpc.end({ code: Code.CANCELLED, details: 'Cancelled', peer }))

      const fail = (code: Code, details: string, refusedBy?: string): void => {
        rpc.end({ code, details, peer, refusedBy })
        const error = { code, details, metadata: headers }
        if (callback === undefined) call.emit('error', error)
        else callback(error)
      }
      const respond: sendUnaryData<Payload> = (error, value) => {
        if (error) {
          const { code = Code.UNKNOWN, details = '' } = error as Partial<ServiceError>
          fail(code, details)
          return
        }
        rpc.sent = 1
        rpc.end({ code: Code.OK, details: '', peer })
        callback?.(null, value)
      }
      const enter = ({ who, refusal }: Admitted): void => {
        if (refusal !== undefined) {
          fail(refusal.code, refusal.details, refusal.by)
          return
        }
        call.sendMetadata(headers)
        const inside = rpc.inside.setValue(REQUEST_ID, requestId).setValue(PRINCIPAL, who)
        try {
          context.with(inside, handle, undefined, call, rpc, respond)
        } catch (error) {
          fail(Code.INTERNAL, 'Internal error')
          logger.error({ err: error }, 'a handler threw')
        }
      }
      const admitted = admission.admit(token, peer)
      if (admitted instanceof Promise) void admitted.then(enter)
      else enter(admitted)
    }

  const server = new Server()
  server.addService(Echo, handlersOf(surround) as UntypedServiceImplementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', serverCredentials(), (error, bound) => (error ? reject(error) : resolve(bound)))
  })
  return { port, close: () => server.forceShutdown() }
}

function requestIdIn(metadata: Metadata): string {
  const given = metadata.get('x-request-id')
  const [id] = given
  return given.length === 1 && typeof id === 'string' && VALID_ID.test(id) ? id : randomUUID()
}

function endStream(call: AnyServerCall, rpc: Recorded): void {
  rpc.end({ code: Code.OK, details: '', peer: call.getPeer() })
  call.end()
}

function handlersOf(surround: (name: EchoMethod, handle: Handle) => unknown): object {
  return {
    unary: surround('unary', (call, rpc, respond) => {
      rpc.received = 1
      respond(null, call.request)
    }),
    fail: surround('fail', (_call, rpc, respond) => {
      rpc.received = 1
      respond({ code: Code.NOT_FOUND, details: 'no such thing' })
    }),
    hold: () => undefined,
    serverStream: surround('serverStream', (call, rpc) => {
      rpc.received = 1
      const send = (): void => {
        while (rpc.sent < MESSAGES) {
          rpc.sent++
          if (!call.write(call.request)) {
            call.once('drain', send)
            return
          }
        }
        endStream(call, rpc)
      }
      send()
    }),
    clientStream: surround('clientStream', (call, rpc, respond) => {
      call.on('data', () => void rpc.received++)
      call.on('end', () => respond(null, SMALL))
    }),
    bidi: surround('bidi', (call, rpc) => {
      call.on('data', (message) => {
        rpc.received++
        rpc.sent++
        call.write(message)
      })
      call.on('end', () => endStream(call, rpc))
    }),
  }
}
