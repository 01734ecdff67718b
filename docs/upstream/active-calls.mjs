// Calls that come to a set and leave it, as those of a connection of grpc-js do. With "fresh": the set is copied now and then.
// Needs --expose-gc.
const fresh = process.argv[2] === 'fresh'
let activeCalls = new Set([{ call: 'the first one' }])
globalThis.gc()
const inFlight = []
for (let i = 0; i < 3_000_000; i++) {
  const call = { number: i, messages: new Array(50).fill(i) }
  activeCalls.add(call)
  inFlight.push(call)
  if (inFlight.length > 64) activeCalls.delete(inFlight.shift())
  if (fresh && i % 64 === 0) activeCalls = new Set(activeCalls)
}
