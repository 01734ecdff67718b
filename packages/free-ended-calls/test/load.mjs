// node --trace-gc-nvp test/load.mjs <calls>: calls between a client and a server in this process.
import { connect, many, startServer } from './echo.mjs'

const { server, port } = await startServer()
const client = connect(port)
await many(client, Number(process.argv[2]), 64)
client.close()
server.forceShutdown()
