import 'reflect-metadata'
import { fileURLToPath } from 'node:url'
import { status as Code, type ServerDuplexStream, type ServerReadableStream, type sendUnaryData } from '@grpc/grpc-js'
import { clientInterceptors, type Interceptor, serverInterceptors } from '@grpc-stack/grpc-core'
import { clientAuth, principalVar, serverAuth } from '@grpc-stack/interceptor-auth'
import { requestId, requestIdVar } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { retry } from '@grpc-stack/interceptor-retry'
import { Controller, type INestMicroservice, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import {
  type ClientGrpcProxy,
  ClientProxyFactory,
  GrpcMethod,
  type GrpcOptions,
  GrpcStreamCall,
  RpcException,
  Transport,
} from '@nestjs/microservices'
import { firstValueFrom, from, map, type Observable, of, toArray } from 'rxjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from './free-port.ts'
import type { Request, Response } from './interop-service.ts'

const PROTO = fileURLToPath(new URL('./python/interop.proto', import.meta.url))
const recorder = inMemory()
let failures = 2

/** A Nest controller. The decorators are called as functions, so that this file needs no compiler option. */
class InteropController {
  unary(request: Request): Response {
    if (request.code) throw new RpcException({ code: request.code, message: 'asked for' })
    if (request.flaky && failures-- > 0) throw new RpcException({ code: Code.UNAVAILABLE, message: 'flaky' })
    return { text: `${principalVar.get().subject} ${requestIdVar.get()} ${request.text}` }
  }

  serverStream(request: Request): Observable<Response> {
    return from(Array.from({ length: request.count ?? 0 }, (_, count) => ({ count })))
  }

  clientStream(call: ServerReadableStream<Request, Response>, callback: sendUnaryData<Response>): void {
    const texts: string[] = []
    call.on('data', ({ text }: Request) => texts.push(text ?? ''))
    call.on('end', () => callback(null, { text: texts.join(' ') }))
  }

  bidi(call: ServerDuplexStream<Request, Response>): void {
    call.on('data', ({ text }: Request) => call.write({ text: text ?? '' }))
    call.on('end', () => call.end())
  }
}

const prototype = InteropController.prototype
const decorate = (decorator: MethodDecorator, name: keyof InteropController): void => {
  decorator(prototype, name, Object.getOwnPropertyDescriptor(prototype, name) as TypedPropertyDescriptor<never>)
}
decorate(GrpcMethod('Interop', 'Unary') as MethodDecorator, 'unary')
decorate(GrpcMethod('Interop', 'ServerStream') as MethodDecorator, 'serverStream')
decorate(GrpcStreamCall('Interop', 'ClientStream') as MethodDecorator, 'clientStream')
decorate(GrpcStreamCall('Interop', 'Bidi') as MethodDecorator, 'bidi')
Controller()(InteropController)

class AppModule {}
Module({ controllers: [InteropController] })(AppModule)

/** Nest hands channelOptions to grpc-js's Server and to the stubs, interceptors too. */
function nestOptions(port: number, interceptors: object[]): GrpcOptions {
  return {
    transport: Transport.GRPC,
    options: {
      package: 'interop.v1',
      protoPath: PROTO,
      url: `127.0.0.1:${port}`,
      loader: { keepCase: true },
      channelOptions: { interceptors } as object,
    },
  }
}

interface NestClient {
  Unary(request: Request): Observable<Response>
  ServerStream(request: Request): Observable<Response>
  ClientStream(requests: Observable<Request>): Observable<Response>
  Bidi(requests: Observable<Request>): Observable<Response>
}

let app: INestMicroservice
let proxy: ClientGrpcProxy
let stranger: ClientGrpcProxy
const seen: { method: string; code: Code }[] = []

beforeAll(async () => {
  const watch: Interceptor = async (call, next) => {
    const status = await next()
    seen.push({ method: call.method.name, code: status.code })
    return status
  }
  const server = serverInterceptors(
    watch,
    requestId(),
    metrics({ recorder }),
    serverAuth({ verify: (token) => (token === 'good' ? { subject: 'nest' } : null) }),
  )
  const client = clientInterceptors(retry({ initialBackoffMs: 1 }), clientAuth({ token: 'good', allowInsecure: true }))
  const port = await freePort()
  app = await NestFactory.createMicroservice(AppModule, { ...nestOptions(port, server), logger: false })
  await app.listen()
  proxy = ClientProxyFactory.create(nestOptions(port, client)) as unknown as ClientGrpcProxy
  stranger = ClientProxyFactory.create(nestOptions(port, [])) as unknown as ClientGrpcProxy
})

afterAll(async () => {
  proxy.close()
  stranger.close()
  await app.close()
})

describe('a NestJS microservice and client carrying our stacks', () => {
  it('serve calls whose handlers read the context variables of the stack', async () => {
    const client = proxy.getService<NestClient>('Interop')
    const { text } = await firstValueFrom(client.Unary({ text: 'hi' }))
    expect(text).toMatch(/^nest \S+ hi$/)
    expect(await firstValueFrom(client.ServerStream({ count: 3 }).pipe(toArray()))).toHaveLength(3)
    const sent = of({ text: 'a' }, { text: 'b' })
    expect(await firstValueFrom(client.ClientStream(sent))).toMatchObject({ text: 'a b' })
    const echoed = client.Bidi(sent).pipe(
      map(({ text: word }) => word),
      toArray(),
    )
    expect(await firstValueFrom(echoed)).toEqual(['a', 'b'])
  })

  it('retry what fails, and count it', async () => {
    failures = 2
    seen.length = 0
    await firstValueFrom(proxy.getService<NestClient>('Interop').Unary({ text: 'x', flaky: 'yes' }))
    expect(seen.map(({ code }) => code)).toEqual([Code.UNAVAILABLE, Code.UNAVAILABLE, Code.OK])
    expect(recorder.snapshot().requests['/interop.v1.Interop/Unary']).toBeGreaterThanOrEqual(3)
  })

  it('carry the status of an RpcException', async () => {
    const failed = firstValueFrom(proxy.getService<NestClient>('Interop').Unary({ code: Code.NOT_FOUND }))
    await expect(failed).rejects.toMatchObject({ code: Code.NOT_FOUND, details: 'asked for' })
  })

  it('refuse a stranger before the controller runs', async () => {
    seen.length = 0
    const refused = firstValueFrom(stranger.getService<NestClient>('Interop').Unary({ text: 'x' }))
    await expect(refused).rejects.toMatchObject({ code: Code.UNAUTHENTICATED })
    expect(seen).toEqual([{ method: 'Unary', code: Code.UNAUTHENTICATED }])
  })
})
