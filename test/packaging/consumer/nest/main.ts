// A service as the Nest CLI generates it, with interceptors on both sides. Prints what happened, as JSON.
import 'reflect-metadata'
import { join } from 'node:path'
import { clientInterceptors, serverInterceptors } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import { clientAuth, principalVar, serverAuth } from '@grpc-stack/interceptor-auth'
import { retry } from '@grpc-stack/interceptor-retry'
import { Controller, Injectable, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import {
  type ClientGrpc,
  ClientProxyFactory,
  GrpcMethod,
  type GrpcOptions,
  type MicroserviceOptions,
  Transport,
} from '@nestjs/microservices'
import { firstValueFrom, type Observable } from 'rxjs'

interface Message {
  name: string
}

@Injectable()
class GreetingService {
  greet(name: string): string {
    return `${principalVar.get().subject} greets ${name}`
  }
}

@Controller()
class GreeterController {
  constructor(private readonly greetings: GreetingService) {}

  @GrpcMethod('Greeter', 'Greet')
  greet(request: Message): Message {
    return { name: this.greetings.greet(request.name) }
  }
}

@Module({ controllers: [GreeterController], providers: [GreetingService] })
class AppModule {}

const options = (url: string, interceptors: object[]): GrpcOptions => ({
  transport: Transport.GRPC,
  options: {
    package: 'acme',
    protoPath: join(process.cwd(), 'greeter.proto'),
    url,
    channelOptions: { interceptors } as object,
  },
})

async function main(): Promise<void> {
  const url = `127.0.0.1:${process.argv[2]}`
  let failures = 1
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(AppModule, {
    ...options(
      url,
      serverInterceptors(
        serverAuth({ verify: (token) => Promise.resolve(token === 'secret' ? { subject: 'ada' } : null) }),
        named('flaky', (_call, next) => (failures-- > 0 ? { code: 14, details: 'not yet' } : next())),
      ),
    ),
    logger: false,
  })
  await app.listen()
  const client = ClientProxyFactory.create(
    options(
      url,
      clientInterceptors(
        retry({ idempotent: '*', initialBackoffMs: 1 }),
        clientAuth({ token: 'secret', allowInsecure: true }),
      ),
    ),
  ) as unknown as ClientGrpc & { close(): void }
  const greeter = client.getService<{ greet(request: Message): Observable<Message> }>('Greeter')
  console.log(JSON.stringify(await firstValueFrom(greeter.greet({ name: 'Bob' }))))
  client.close()
  await app.close()
}

void main()
