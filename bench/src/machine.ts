import { readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'

/** How busy the machine was with others. */
export interface Machine {
  /** Load average of one minute. */
  readonly loadAtBegin: number
  readonly loadAtEnd: number
  /** Share of the cores' time that the hypervisor gave to others. Undefined where the system does not say. */
  readonly stolen: number | undefined
}

export const loadAverage = (): number => loadavg()[0] ?? 0

/** Milliseconds of all cores since the machine started. Linux counts them in hundredths of a second: proc_stat(5). */
export function stolenMs(): number | undefined {
  try {
    const hundredths = /^cpu +(?:\d+ +){7}(\d+)/.exec(readFileSync('/proc/stat', 'utf8'))?.[1]
    return hundredths === undefined ? undefined : Number(hundredths) * 10
  } catch {
    return undefined
  }
}

/** Begins to watch the machine; what is returned tells how it was since. */
export function watchMachine(): () => Machine {
  const loadAtBegin = loadAverage()
  const from = performance.now()
  const before = stolenMs()
  return () => {
    const after = stolenMs()
    const ofCores = (performance.now() - from) * cpus().length
    const stolen = before === undefined || after === undefined ? undefined : (after - before) / ofCores
    return { loadAtBegin, loadAtEnd: loadAverage(), stolen }
  }
}
