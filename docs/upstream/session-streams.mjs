// Streams that come to a map and leave it, 64 at a time. With "fresh": the map is copied now and then. Needs --expose-gc.
const fresh = process.argv[2] === 'fresh'
let streams = new Map([[-1, 'the first one']])
globalThis.gc()
for (let i = 0; i < 3_000_000; i++) {
  streams.set(i, new Array(50).fill(i))
  streams.delete(i - 64)
  if (fresh && i % 64 === 0) streams = new Map(streams)
}
