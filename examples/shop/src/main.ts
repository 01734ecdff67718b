import { parseArgs } from 'node:util'
import { People } from './customers/person.ts'
import { Shop } from './processes/shop.ts'
import { observers } from './stacks/observers.ts'
import { tell } from './story/tell.ts'
import { Observatory } from './telemetry/observatory.ts'
import { startOpenTelemetry } from './telemetry/open-telemetry.ts'
import { createIssuer } from './tokens/issuer.ts'

const { values: options } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

const issuer = await createIssuer()
const observatory = new Observatory()
const report = observatory.at('outside')
const endOpenTelemetry = await startOpenTelemetry('outside', report)
const shop = new Shop(issuer.publicKeys, observatory)
const people = new People(shop, issuer, observers(report))

// Whatever ends this process, the services end with it: they notice when their line to it breaks.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

const tooLong = setTimeout(() => {
  console.error('shop: the story takes too long')
  process.exit(1)
}, 30_000)

try {
  await shop.open()
  const good = await tell({ shop, people, issuer, observatory }, { json: options.json })
  if (!good) process.exitCode = 1
} finally {
  people.close()
  await shop.close()
  await endOpenTelemetry()
  clearTimeout(tooLong)
}
