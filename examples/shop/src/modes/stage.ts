import { People } from '../customers/person.ts'
import { Shop } from '../processes/shop.ts'
import type { Stage } from '../story/step.ts'
import { startInstruments } from '../telemetry/instruments.ts'
import { Observatory } from '../telemetry/observatory.ts'
import { createIssuer } from '../tokens/issuer.ts'

/**
 * Starts the shop and everything around it, runs `play` with it, and leaves nothing behind, however that ends.
 * @param linger see `Stage`
 */
export async function onStage(
  play: (stage: Stage) => Promise<void>,
  linger = async (): Promise<void> => {},
): Promise<void> {
  const issuer = await createIssuer()
  const observatory = new Observatory()
  const instruments = await startInstruments('outside', observatory.at('outside'))
  const shop = new Shop(issuer.publicKeys, observatory)
  const people = new People(shop, issuer, instruments.observers)
  try {
    await shop.open()
    await play({ shop, people, issuer, observatory, linger })
  } finally {
    people.close()
    await shop.close()
    await instruments.stop()
  }
}
