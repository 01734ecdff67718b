// Calls of grpc-js with the other three out of the way, on Node 24. With "off": and with allocation-site pretenuring switched off.
// From the root of this repository, after `npm run build`.
import { freeEndedCalls } from '@grpc-stack/free-ended-calls'

freeEndedCalls({ pretenuring: process.argv[2] === 'off' })
process.argv[2] = '60000'
await import('../../packages/free-ended-calls/test/load.mjs')
