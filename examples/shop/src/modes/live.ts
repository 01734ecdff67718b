import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Traffic } from '../customers/traffic.ts'
import { openPage } from '../page/page.ts'
import type { Printer } from '../story/printer.ts'
import { type Listener, tell } from '../story/story.ts'
import { onStage } from './stage.ts'

export interface LiveOptions {
  /** Of the page, if it is free. */
  readonly port: number
  /** Tell the story at once; else when it is asked for on the page. */
  readonly story: boolean
  /** Between the steps of the story, and where one should last, so that it can be watched. */
  readonly paceMs: number
}

/** Opens the shop with a page to watch it on, tells the story once, and stays open until Ctrl-C. */
export async function stayOpen({ port, story, paceMs }: LiveOptions, printer: Printer): Promise<void> {
  const ended = new AbortController()
  // Ctrl-C may come twice: to the whole group, and passed on by npm run demo.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ended.abort())
  const pause = () => sleep(paceMs, undefined, { signal: ended.signal }).catch(() => undefined)

  await onStage(async (stage) => {
    const traffic = new Traffic(stage.people)
    let telling = false
    const tellStory = (): boolean => {
      if (telling) return false
      telling = true
      const both: Listener = {
        began: (step) => page.listener.began?.(step),
        ended(step, outcome) {
          // What fails because the shop closes is no part of the story.
          if (ended.signal.aborted) return
          page.listener.ended(step, outcome)
          printer.ended(step, outcome)
        },
      }
      void tell(stage, both, pause, ended.signal).finally(() => {
        telling = false
        if (!ended.signal.aborted)
          console.log(`That was the story. Make trouble yourself on ${page.url}; Ctrl-C closes the shop.`)
      })
      return true
    }
    const page = await openPage(stage, port, tellStory)
    console.log(`The shop is open. Look at it on ${page.url}\n`)
    if (story) tellStory()
    if (!ended.signal.aborted) await once(ended.signal, 'abort')
    await traffic.stop()
    await page.close()
  }, pause)
}
