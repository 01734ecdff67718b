import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The files of the page by the path of their URL: all that can be asked for, so that nothing else can. */
export async function findAssets(): Promise<ReadonlyMap<string, string>> {
  const folder = fileURLToPath(new URL('../../public/', import.meta.url))
  const uplot = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist')
  const own = (await readdir(folder)).map((file): [string, string] => [`/${file}`, join(folder, file)])
  return new Map([
    ...own,
    ['/', join(folder, 'index.html')],
    ['/uplot.js', join(uplot, 'uPlot.esm.js')],
    ['/uplot.css', join(uplot, 'uPlot.min.css')],
  ])
}

export function sendAsset(response: ServerResponse, file: string): void {
  response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream', ...headers })
  createReadStream(file).pipe(response)
}

const headers = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'",
  'x-content-type-options': 'nosniff',
}
