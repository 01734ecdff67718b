import type { Listener } from '../story/story.ts'
import { tell } from '../story/story.ts'
import { onStage } from './stage.ts'

const LONGEST_MS = 60_000

/** Tells the story and ends; with exit code 0 only if each step did what it says. */
export async function tellOnce(printer: Listener): Promise<void> {
  process.exitCode = 1
  const giveUp = setTimeout(() => {
    console.error('shop: the story takes too long')
    process.exit(1)
  }, LONGEST_MS).unref()
  await onStage(async (stage) => {
    if (await tell(stage, printer)) process.exitCode = 0
  })
  clearTimeout(giveUp)
}
