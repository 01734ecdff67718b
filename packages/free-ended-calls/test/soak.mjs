// node --import ../dist/register.js test/soak.mjs <calls>: prints the heap after a full collection, ten times, as the calls go by.
// With `node --expose-gc`.
import { connect, many, startServer } from './echo.mjs'

const calls = Number(process.argv[2] ?? 1_000_000)
const { server, port } = await startServer()
const client = connect(port)
for (let i = 0; i < 10; i++) {
  await many(client, calls / 10, 64)
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  console.log(
    `${((i + 1) * calls) / 10} calls: heap ${(heapUsed / 1e6).toFixed(1)} MB, external ${(external / 1e6).toFixed(1)} MB`,
  )
}
client.close()
server.forceShutdown()
