// Two processes with the server of the page, as two copies of the module with a connection to Redis each.
import { Redis } from 'ioredis'
import { fromPage, greeterAt, listen, outcome, until } from './pages.mjs'

const [one, two] = await Promise.all(['?one', '?two'].map((name) => fromPage('guides-redis', 'block-0', name)))
const [first, second] = [greeterAt(await listen(one.server)), greeterAt(await listen(two.server))]

/** How many calls are admitted before one is refused, and what the first of those is told. */
async function admitted(greeter) {
  for (let count = 0; ; ) {
    // Several at once, so that a slow machine is faster than the rate.
    const calls = Array.from({ length: 20 }, () => outcome(greeter.sayHello({ name: 'you' })))
    const refused = (await Promise.all(calls)).filter((ended) => typeof ended === 'string')
    count += calls.length - refused.length
    if (refused.length > 0) return { count, refused: refused[0] }
  }
}

const shared = await admitted(first)
console.log(shared.count >= 200, shared.refused)
// What Redis gives in the meantime is a hundred a second; a limit of its own would give 200 at once.
console.log((await admitted(second)).count < 200)

await new Redis(process.env.REDIS_URL, { lazyConnect: true, retryStrategy: () => null })
  .shutdown('NOSAVE')
  .catch(() => undefined)
await until(async () => {
  await outcome(second.sayHello({ name: 'you' }))
  return !two.limiter.state().up
})
const local = await admitted(second)
console.log(local.refused, local.count < 200)
process.exit()
