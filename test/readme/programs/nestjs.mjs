// The service and the client of the page in an application of Nest. Decorators are called as functions, so that no compiler is needed.
import 'reflect-metadata'
import { requestIdVar } from '@grpc-stack/interceptor-logging'
import { Controller, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { GrpcMethod } from '@nestjs/microservices'
import { firstValueFrom } from 'rxjs'
import { fromPage } from './pages.mjs'

const { grpc } = await fromPage('guides-nestjs', 'main')
const { clients } = await fromPage('guides-nestjs', 'block-1')

class GreeterController {
  sayHello({ name }) {
    return { message: `Hello ${name}, ${requestIdVar.get().length} letters of id` }
  }
}
const { prototype } = GreeterController
GrpcMethod('Greeter', 'SayHello')(prototype, 'sayHello', Object.getOwnPropertyDescriptor(prototype, 'sayHello'))
Controller()(GreeterController)

class AppModule {}
Module({ imports: [clients], controllers: [GreeterController] })(AppModule)

const app = await NestFactory.createMicroservice(AppModule, { ...grpc, logger: false })
await app.listen()
const greeter = app.get('GREETER').getService('Greeter')
console.log(await firstValueFrom(greeter.sayHello({ name: 'you' })))
await app.close()
process.exit()
