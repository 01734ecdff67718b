import { status } from '@grpc/grpc-js'
import { fromPage, greeterAt, listen, outcome, warnings, withToken } from './pages.mjs'

const codes = warnings()
const { server } = await fromPage('guides-stacks', 'block-0')
const greeter = greeterAt(await listen(server))
console.log(await outcome(greeter.sayHello({ name: 'you' })))
console.log(await outcome(greeter.sayHello({ name: 'you' }, { metadata: withToken('secret') })))
// The table has a limit for one method alone, whose handler is not there.
const counts = []
while (counts.at(-1) !== status.RESOURCE_EXHAUSTED) {
  // Several at once, so that a slow machine is faster than the rate.
  const calls = Array.from({ length: 3 }, () => greeter.countTo({ to: 1 }, { metadata: withToken('secret') }).status)
  counts.push(...(await Promise.all(calls)).map(({ code }) => code).sort((one, other) => other - one))
}
console.log(counts.filter((code) => code === status.UNIMPLEMENTED).length >= 5)
console.log(await outcome(greeter.sayHello({ name: 'all' }, { metadata: withToken('secret') })))
console.log(codes.join(' '))
process.exit()
