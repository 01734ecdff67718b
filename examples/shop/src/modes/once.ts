import { interceptorsSaw } from '../story/interceptors-saw.ts'
import type { Printer } from '../story/printer.ts'
import { tell } from '../story/story.ts'
import { Measurements } from '../telemetry/measurements.ts'
import { onStage } from './stage.ts'

const LONGEST_MS = 60_000
/** Until the last pulse of every process is here. */
const LAST_PULSE_MS = 300

/** Tells the story and ends; with exit code 0 only if each step did what it says. */
export async function tellOnce(printer: Printer): Promise<void> {
  process.exitCode = 1
  const giveUp = setTimeout(() => {
    console.error('shop: the story takes too long')
    process.exit()
  }, LONGEST_MS).unref()
  await onStage(async (stage) => {
    const measurements = new Measurements(stage.observatory)
    const good = await tell(stage, printer)
    await new Promise((resolve) => setTimeout(resolve, LAST_PULSE_MS))
    printer.saw(interceptorsSaw(stage.observatory, measurements))
    if (good) process.exitCode = 0
  })
  clearTimeout(giveUp)
}
