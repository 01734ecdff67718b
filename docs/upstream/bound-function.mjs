// Functions bound to an AsyncResource, one per request, 64 requests at a time. With "plain": closures that do the same.
import { AsyncResource } from 'node:async_hooks'

const plain = process.argv[2] === 'plain'
const inFlight = new Array(64)
for (let i = 0; i < 2_000_000; i++) {
  const resource = new AsyncResource('Request')
  const payload = new Array(50).fill(i)
  const work = () => payload
  inFlight[i % 64] = plain ? () => resource.runInAsyncScope(work) : resource.bind(work)
}
