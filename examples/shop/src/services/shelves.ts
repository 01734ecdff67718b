import type { StockItem } from '../generated/shop/inventory.ts'

const goods = ['apples', 'bread', 'coffee', 'honey', 'lemons', 'olives', 'rice', 'tea']

/** The articles the shop begins with, by article number. */
export function openShelves(): Map<string, StockItem> {
  return new Map(
    goods.map((sku, i) => [
      sku,
      {
        sku,
        priceCents: 120 + 85 * i,
        inStock: 10_000,
        // About a kilobyte, so that a catalogue is too long to fit into anybody's buffers.
        description: `${sku}, from shelf ${i + 1}. `.padEnd(1000, '.'),
      },
    ]),
  )
}
