import { parseArgs } from 'node:util'
import { Shop } from './processes/shop.ts'
import { tell } from './story/tell.ts'

const { values: options } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

const shop = new Shop()
// Whatever ends this process, the services end with it: they notice when their line to it breaks.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    shop.killAll()
    process.exit(1)
  })
}

const tooLong = setTimeout(() => {
  console.error('shop: the story takes too long')
  shop.killAll()
  process.exit(1)
}, 30_000)

try {
  await shop.open()
  const good = await tell(shop, { json: options.json })
  if (!good) process.exitCode = 1
} finally {
  await shop.close()
  clearTimeout(tooLong)
}
