import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, expect, type Stage, type Step } from './step.ts'

const LIMIT = 20_000
const READ = 100

export const slowReader: Step = {
  name: 'A slow reader',
  async run(stage) {
    const { people } = stage
    const before = sentByInventory(stage)
    const stream = people.get('customer-1').storefront.browse({ limit: LIMIT })
    let read = 0
    for await (const _article of stream) {
      await sleep(5)
      if (++read === READ / 2) await stage.linger()
      if (read === READ) break
    }
    // Leaving the loop cancelled the call; what inventory sent is known with its next pulse.
    expect((await stream.status).code === 1, 'leaving early cancels the stream')
    await eventually(() => listsInFlight(stage) === 0, 'the cancel reaches inventory')
    const sent = sentByInventory(stage) - before
    expect(sent >= READ, 'inventory sent what was read')
    expect(sent < LIMIT / 10, `inventory waited for the reader, and did not send ${sent} articles`)
    return {
      happened: `A customer asks for ${LIMIT} articles, reads ${READ} of them slowly, and leaves.`,
      seen: `Inventory sent ${sent}, as many as the connections hold: through two hops it waited for the reader.`,
    }
  },
}

const LIST = '/shop.inventory.Inventory/List'

function listOf({ observatory }: Stage) {
  return observatory.pulses.get('inventory')?.methods.find(({ side, path }) => side === 'server' && path === LIST)
}

const sentByInventory = (stage: Stage): number => listOf(stage)?.messagesSent ?? 0
const listsInFlight = (stage: Stage): number => listOf(stage)?.inFlight ?? 0
