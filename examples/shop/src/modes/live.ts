import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Traffic } from '../customers/traffic.ts'
import { openPage } from '../page/page.ts'
import { type Listener, tell } from '../story/story.ts'
import { onStage } from './stage.ts'

/** So that one step can be watched before the next begins: the story takes a minute. */
const PAUSE_MS = 4500

/** Opens the shop with a page to watch it on, tells the story once, and stays open until Ctrl-C. */
export async function stayOpen(port: number, printer: Listener): Promise<void> {
  await onStage(async (stage) => {
    const ended = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ended.abort())

    const traffic = new Traffic(stage.people)
    let telling: Promise<unknown> | undefined
    const tellStory = (): boolean => {
      if (telling !== undefined) return false
      const both: Listener = {
        began: (step) => page.listener.began?.(step),
        ended(step, outcome) {
          page.listener.ended(step, outcome)
          printer.ended(step, outcome)
        },
      }
      const pause = () => sleep(PAUSE_MS, undefined, { signal: ended.signal }).catch(() => undefined)
      telling = tell(stage, both, pause, ended.signal).finally(() => {
        telling = undefined
      })
      return true
    }
    const page = await openPage(stage, port, tellStory)
    console.log(`The shop is open. Look at it on ${page.url}\n`)
    tellStory()
    if (!ended.signal.aborted) await once(ended.signal, 'abort')
    await traffic.stop()
    await telling
    await page.close()
  })
}
