import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { servePage } from './page-server.ts'

describe('servePage', () => {
  const pressed: string[] = []
  let page: Awaited<ReturnType<typeof servePage>>
  beforeEach(async () => {
    pressed.length = 0
    page = await servePage(0, {
      watch: (response) => response.end('live'),
      press: (button) => pressed.push(button) > 0 && button !== 'nothing',
    })
  })
  afterEach(() => page.close())

  /** Unlike fetch, sends any header and leaves the path as it is. */
  const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
    new Promise<{ code: number | undefined; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
      const asked = request(new URL(page.url), { method, path, headers }, (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.on('end', () => resolve({ code: response.statusCode, headers: response.headers, body }))
      })
      asked.once('error', reject).end()
    })

  it('serves the page, its parts and the chart library', async () => {
    const { code, headers, body } = await ask('GET', '/')
    expect(code).toBe(200)
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(headers['content-security-policy']).toContain("script-src 'self'")
    for (const [, path] of body.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
      expect((await ask('GET', path!)).code, path).toBe(200)
    }
    expect((await ask('GET', '/uplot.js')).body).toContain('uPlot')
  })

  it('serves nothing else', async () => {
    for (const path of ['/nothing', '/../package.json', '/%2e%2e/package.json', '/public/index.html']) {
      expect((await ask('GET', path)).code, path).toBe(404)
    }
    expect((await ask('DELETE', '/')).code).toBe(405)
  })

  it('takes presses of buttons from its own page only', async () => {
    expect((await ask('POST', '/story')).code).toBe(202)
    expect((await ask('POST', '/nothing')).code).toBe(404)
    expect((await ask('POST', '/story', { origin: page.url.slice(0, -1) })).code).toBe(202)
    expect((await ask('POST', '/story', { origin: 'https://elsewhere.example' })).code).toBe(403)
    expect((await ask('POST', '/story', { host: 'elsewhere.example' })).code).toBe(403)
    expect(pressed).toEqual(['story', 'nothing', 'story'])
  })

  it('takes another port when the one asked for is taken', async () => {
    const port = Number(new URL(page.url).port)
    const second = await servePage(port, { watch: () => {}, press: () => false })
    try {
      expect(new URL(second.url).port).not.toBe(String(port))
      expect((await fetch(second.url)).status).toBe(200)
    } finally {
      await second.close()
    }
  })
})
