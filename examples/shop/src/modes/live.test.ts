import { existsSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import axe from 'axe-core'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Demo } from '../../test/demo.ts'
import { steps } from '../story/story.ts'

/** Screenshots, for people to look at. */
const output = fileURLToPath(new URL('../../output/', import.meta.url))
const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

describe.runIf(browserPath !== undefined)('the live page, in Chromium', { timeout: 60_000 }, () => {
  let demo: Demo
  let browser: Browser
  let page: Page
  const complaints: string[] = []

  beforeAll(async () => {
    mkdirSync(output, { recursive: true })
    demo = new Demo(['--port', '0', '--no-story', '--pace', '0'])
    const [url] = await demo.says(/http:\S+/)
    browser = await chromium.launch({ executablePath: browserPath!, args: ['--no-sandbox'] })
    page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' })
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('requestfailed', (request) => {
      // Live events end when the page is loaded again.
      if (!request.url().endsWith('/events')) complaints.push(`${request.url()}: ${request.failure()?.errorText}`)
    })
    page.setDefaultTimeout(20_000)
    await page.goto(url)
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    await demo?.[Symbol.asyncDispose]()
  }, 20_000)

  /** What axe-core finds wrong with the page as it is, by rule and element. */
  const violations = async (): Promise<string[]> => {
    await page.evaluate(axe.source)
    const found = (await page.evaluate('axe.run()')) as axe.AxeResults
    return found.violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`))
  }

  const trouble = (name: string) => page.getByRole('button', { name })
  const picture = (name: string) => page.screenshot({ path: `${output}${name}.png`, fullPage: true })

  it('shows every service at work', async () => {
    await expect.poll(() => page.locator('#pulse').textContent()).toMatch(/^[1-9][\d.]* calls\/s/)
    for (const service of ['storefront', 'orders', 'inventory', 'payments']) {
      const node = page.getByRole('button', { name: new RegExp(`^${service} [\\d.]+/s`) })
      await node.waitFor()
    }
    await page.locator('circle.call').first().waitFor({ state: 'attached' })
  })

  it('shows the stack of what is picked, with the keyboard too', async () => {
    await page.getByRole('button', { name: /^inventory [\d.]+/ }).focus()
    await page.keyboard.press('Enter')
    await expect.poll(() => page.locator('#stack').textContent()).toContain('rateLimit')
    await page.getByRole('button', { name: /^orders to payments/ }).focus()
    await page.keyboard.press(' ')
    await expect.poll(() => page.locator('#stack').textContent()).toContain('circuitBreaker')
  })

  it('tells of each interceptor what it is for and what it did, and leads to its package', async () => {
    await page.getByRole('button', { name: /^orders to inventory/ }).focus()
    await page.keyboard.press('Enter')
    const chip = page.locator('#stack').getByRole('link', { name: 'retry' })
    const tip = page.getByRole('tooltip')
    expect(await tip.count()).toBe(0)
    await chip.focus()
    await expect.poll(() => tip.textContent()).toMatch(/Makes a call again .* attempts more for [1-9]\d* calls\./)
    expect(await chip.getAttribute('href')).toBe('https://www.npmjs.com/package/@grpc-stack/interceptor-retry')
    await page.keyboard.press('Escape')
    await expect.poll(() => tip.count()).toBe(0)
    await page.getByRole('button', { name: /^inventory [\d.]+/ }).click()
    await page.locator('#stack').getByRole('link', { name: 'rateLimit' }).hover()
    await expect.poll(() => tip.textContent()).toMatch(/refused 0 of the last [1-9]\d* calls/i)
    await page.mouse.move(0, 0)
    const chips = await page.locator('.chips code').allTextContents()
    const explained = await page.locator('.tip').allTextContents()
    expect(explained).toHaveLength(chips.length)
    expect(explained.filter((text) => text.length < 30)).toEqual([])
  })

  it('retries while inventory is flaky', async () => {
    await trouble('Inventory is flaky').press('Enter')
    await expect.poll(() => trouble('Inventory is flaky').getAttribute('aria-pressed')).toBe('true')
    await expect.poll(() => page.locator('#retries').textContent()).toMatch(/^[1-9]|^0\.[1-9]/)
    await page.getByLabel('only failed or retried').check()
    await page
      .locator('#trace-list')
      .getByText(/retried/)
      .first()
      .waitFor()
    await page.getByLabel('only failed or retried').uncheck()
    await trouble('Inventory is flaky').click()
    await expect.poll(() => trouble('Inventory is flaky').getAttribute('aria-pressed')).toBe('false')
  })

  it('opens the circuit while payments is down, and closes it afterwards', async () => {
    const state = () => page.locator('#circuit [aria-current]').textContent()
    expect(await state()).toBe('closed')
    await trouble('Payments is down').click()
    await page.getByRole('button', { name: /^payments down/ }).waitFor()
    await expect.poll(state).toMatch(/open/)
    await picture('payments-down')
    // Its label on the map stands between the boxes, and those of the card hold their words.
    const overlaps = `(() => {
      const label = [...document.querySelectorAll('.label')].find(({ textContent }) => textContent === 'half-open')
      if (label === undefined) return undefined
      const { left, right } = label.getBoundingClientRect()
      const box = (name) => document.querySelector('.node.' + name + ' .body').getBoundingClientRect()
      const states = [...document.querySelectorAll('.circuit-states li')]
      return {
        orders: left < box('orders').right,
        payments: right > box('payments').left,
        words: states.filter((one) => one.scrollWidth > one.clientWidth).map(({ textContent }) => textContent),
      }
    })()`
    await expect.poll(() => page.evaluate(overlaps)).toEqual({ orders: false, payments: false, words: [] })
    await trouble('Payments is down').click()
    await expect.poll(state).toBe('closed')
    expect(await page.locator('#circuit .strip').getAttribute('aria-label')).toContain('open')
  })

  it('limits the customer who hammers, and no other', async () => {
    await trouble('One customer hammers').click()
    await page
      .locator('#limiter')
      .getByText(/customer-9: [\d.]+ refused/)
      .waitFor()
    expect(await page.locator('#limiter .limited').textContent()).not.toMatch(/customer-[1-5]/)
    await picture('hammering')
    await trouble('One customer hammers').click()
    await page.locator('#limiter').getByText('no customer is over the limit').waitFor()
  })

  it('waits for a slow reader', async () => {
    await trouble('A slow reader').click()
    await page
      .locator('#stream')
      .getByText(/^[1-9]\d* catalogues being read/)
      .waitFor()
    await expect.poll(() => page.locator('#stream dd').last().textContent()).toMatch(/^\d{2,3}$/)
    const flow = async () =>
      (await page.locator('#stream dd').allTextContents()).map((text) => Number(text.replaceAll(',', '')))
    const [sent = 0, read = 0, ahead = 0] = await flow()
    expect(sent - read).toBe(ahead)
    await trouble('A slow reader').click()
    await expect.poll(() => trouble('A slow reader').getAttribute('aria-pressed')).toBe('false')
    // What the reader left unread is gone with its stream.
    await expect.poll(async () => (await flow())[2]).toBe(0)
    const [sentNow, readNow] = await flow()
    expect(sentNow).toBe(readNow)
    expect(await page.locator('#stream .facts').textContent()).toMatch(/ read before, [1-9]\d* left early/)
  })

  it('renews tokens that expire fast, without an error', async () => {
    const logins = async () =>
      Number.parseInt((await page.locator('.node.outside text').last().textContent()) ?? '', 10)
    const before = await logins()
    await trouble('Tokens expire fast').click()
    await expect.poll(logins).toBeGreaterThan(before + 8)
    await trouble('Tokens expire fast').click()
  })

  it('restarts orders', async () => {
    const pid = () => page.locator('.node.orders text').last().textContent()
    const before = (await pid())?.split(' · ')[0]
    await trouble('Orders restarts').click()
    await expect.poll(async () => (await pid())?.split(' · ')[0]).not.toBe(before)
  })

  it('shows the log of one request of a trace', async () => {
    await page
      .locator('#trace-list')
      .getByRole('button', { name: /PlaceOrder/ })
      .first()
      .click()
    await page.locator('#waterfall .link').click()
    const id = await page.getByLabel('Request id').inputValue()
    expect(id).not.toBe('')
    const shown = page.locator('#logs tr')
    await expect.poll(() => shown.count()).toBeGreaterThan(3)
    for (const link of await shown.locator('.link').allTextContents()) expect(id.startsWith(link)).toBe(true)
    await page.getByLabel('Request id').fill('')
  })

  it('shows the story, with the shop as busy as ever', { timeout: 90_000 }, async () => {
    await page.getByRole('button', { name: 'Tell it' }).click()
    await expect
      .poll(() => page.locator('#story li[data-state="ok"], #story li[data-state="failed"]').count(), {
        timeout: 80_000,
      })
      .toBe(steps.length)
    expect(await page.locator('#story li[data-state="failed"]').allTextContents()).toEqual([])
  })

  it.each([
    ['desk-light', 1280, 'light'],
    ['desk-dark', 1280, 'dark'],
    ['hand-light', 390, 'light'],
    ['hand-dark', 390, 'dark'],
  ] as const)('fits: %s', async (name, width, colorScheme) => {
    await page.setViewportSize({ width, height: 900 })
    await page.emulateMedia({ colorScheme })
    await picture(name)
    const over = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
    expect(over, 'scrolls sideways').toBeLessThanOrEqual(0)
    expect(await violations()).toEqual([])
  })

  it('has the map in sight while a switch is flipped, on a phone too', async () => {
    await page.setViewportSize({ width: 390, height: 844 })
    await page.evaluate('document.querySelector("#map").scrollIntoView()')
    for (const name of ['A slow reader', 'Tokens expire fast']) {
      const before = await page.evaluate('scrollY')
      await trouble(name).click()
      await expect.poll(() => trouble(name).getAttribute('aria-pressed')).toBe('true')
      expect(await page.evaluate('scrollY')).toBe(before)
      const [top = 0, map, bar = 0] = await Promise.all([
        page.locator('.top').evaluate((one) => one.getBoundingClientRect().bottom),
        page.locator('#map svg').boundingBox(),
        page.locator('#troubles').evaluate((one) => one.getBoundingClientRect().top),
      ])
      expect(map!.y).toBeGreaterThanOrEqual(top)
      expect(map!.y + map!.height).toBeLessThanOrEqual(bar)
      if (name === 'A slow reader') await page.screenshot({ path: `${output}hand-switch.png` })
      await trouble(name).click()
      await expect.poll(() => trouble(name).getAttribute('aria-pressed')).toBe('false')
    }
    await page.setViewportSize({ width: 1280, height: 900 })
  })

  it('keeps the theme that was chosen', async () => {
    await page.getByRole('button', { name: /^Theme/ }).click()
    await page.getByRole('button', { name: 'Theme: light' }).click()
    await page.reload()
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor()
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark')
  })

  it('gives the browser nothing to complain about', () => {
    expect(complaints).toEqual([])
  })

  it('closes the shop on Ctrl-C, with whatever is just being started, and says so on the page', async () => {
    await trouble('Payments is down').click()
    await page.getByRole('button', { name: /^payments down/ }).waitFor()
    await Promise.all([page.waitForResponse(/stop$/), trouble('Payments is down').click()])
    demo.interrupt()
    expect(await demo.ended()).toBe(0)
    expect(await demo.gone()).toBe(true)
    await page.getByText('the shop is closed').waitFor()
    // Ctrl-C may have reached payments before it was ready, which then is told, and nothing else.
    expect(demo.errors.replace(/^shop: Payments is down: .* before it was ready\n/, '')).toBe('')
  })
})

if (browserPath === undefined) {
  it('the live page', ({ skip }) => skip('no Chromium here; on Debian: apt-get install chromium'))
}
