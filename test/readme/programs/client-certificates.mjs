import { readFileSync } from 'node:fs'
import { credentials } from '@grpc/grpc-js'
import { createChannel, interceptChannel } from '@grpc-stack/grpc-core'
import { fromPage, greeterAt, outcome } from './pages.mjs'

const { channel } = await fromPage('guides-tokens-and-certificates', 'block-2')
const file = (name) => readFileSync(`certificates/${name}`)
/** The server of the page may not listen yet. */
const patient = (call, next) => {
  call.waitForReady = true
  return next()
}
const call = (on) => outcome(greeterAt(interceptChannel(on, patient)).sayHello({ name: 'you' }))
console.log(await call(channel))

const address = `localhost:${process.env.GRPC_PORT}`
const stranger = credentials.createSsl(file('ca.pem'), file('stranger.key'), file('stranger.pem'))
console.log(await call(createChannel(address, stranger)))
const without = greeterAt(createChannel(address, credentials.createSsl(file('ca.pem'))))
console.log((await outcome(without.sayHello({ name: 'you' }))).split(' ')[0])
process.exit()
