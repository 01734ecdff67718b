import type { ServerResponse } from 'node:http'

/** Longer than this behind, a page is not watched any more; it can come back and begin anew. */
const MOST_BUFFERED = 4 * 1024 * 1024

/** Sends events to every page that is open (`text/event-stream`). */
export class LiveFeed {
  readonly #pages = new Set<ServerResponse>()

  /** @param first what the page needs to begin with */
  add(page: ServerResponse, first: unknown): void {
    page.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    page.write(eventOf('hello', first))
    this.#pages.add(page)
    page.on('close', () => this.#pages.delete(page))
  }

  get watched(): boolean {
    return this.#pages.size > 0
  }

  send(name: string, data: unknown): void {
    if (!this.watched) return
    const event = eventOf(name, data)
    for (const page of this.#pages) {
      if (page.writableLength > MOST_BUFFERED) page.destroy()
      else page.write(event)
    }
  }

  close(): void {
    for (const page of this.#pages) page.end()
  }
}

const eventOf = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
