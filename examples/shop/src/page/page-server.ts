import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo } from 'node:net'
import { findAssets, sendAsset } from './assets.ts'

export interface PageHandlers {
  /** A page asks for live events. */
  watch(response: ServerResponse): void
  /** A button was pressed: `trouble/flaky-inventory/start`. Returns whether there is such a button. */
  press(button: string): boolean
}

/**
 * Serves the page on 127.0.0.1.
 * @param port taken if it is free, else any other
 */
export async function servePage(
  port: number,
  handlers: PageHandlers,
): Promise<{ url: string; close(): Promise<void> }> {
  const assets = await findAssets()
  const server = createServer((request, response) => {
    // Neither a page from elsewhere nor a name that was made to point here gets to press buttons.
    if (!isLocal(request.headers.host) || !isOwn(request)) return answer(response, 403)
    const { pathname } = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (request.method === 'POST') return answer(response, handlers.press(pathname.slice(1)) ? 202 : 404)
    if (request.method !== 'GET') return answer(response, 405)
    if (pathname === '/events') return handlers.watch(response)
    const file = assets.get(pathname)
    if (file === undefined) return answer(response, 404)
    sendAsset(response, file)
  })
  const bound = await listen(server, port).catch(() => listen(server, 0))
  return {
    url: `http://127.0.0.1:${bound}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

const isLocal = (host: string | undefined): boolean => /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host ?? '')

function isOwn({ headers }: IncomingMessage): boolean {
  return headers.origin === undefined || headers.origin === `http://${headers.host}`
}

function answer(response: ServerResponse, code: number): void {
  response.writeHead(code, { 'content-type': 'text/plain' }).end(STATUS_CODES[code])
}
