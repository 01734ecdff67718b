// Takes the picture of the page that the documentation shows: docs/images/shop.png, in the moment in which payments is
// down. Needs a build and Chromium (Debian: chromium).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const images = fileURLToPath(new URL('../../../docs/images/', import.meta.url))
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

const demo = spawn(process.execPath, [main, '--port', '0', '--pace', '4000'], { stdio: ['ignore', 'pipe', 'inherit'] })
let said = ''
const url = await new Promise((resolve) => {
  demo.stdout.on('data', (chunk) => {
    said += chunk
    const [found] = /http:\S+/.exec(said) ?? []
    if (found) resolve(found)
  })
})
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1090 }, colorScheme: 'light' })
  await page.goto(url)
  await page.locator('[aria-current][data-name="open"]').waitFor({ timeout: 120_000 })
  // A moment for the page to show all of it.
  await page.waitForTimeout(1500)
  mkdirSync(images, { recursive: true })
  await page.screenshot({ path: `${images}shop.png` })
} finally {
  await browser.close()
  demo.kill('SIGINT')
  await once(demo, 'exit')
}
