import { setFlagsFromString } from 'node:v8'
import type { Parts } from './freeing-status.ts'

/**
 * V8 as of Node 24 comes to allocate what a call makes among the old objects at once, where only a full collection frees it: up to
 * 12 MB per minor collection with the other parts in place, though not in each run. Node 20 and 22 do so little.
 */
const PRETENURE_CALLS = [24, 25, 26]

export function switchPretenuringOff(parts: Parts): void {
  const major = Number.parseInt(process.versions.node, 10)
  if (!PRETENURE_CALLS.includes(major)) {
    parts.off('pretenuring', `of no use on Node ${major}`)
    return
  }
  setFlagsFromString('--no-allocation-site-pretenuring')
  parts.waiting('pretenuring')
  parts.active('pretenuring')
}
