import { isThenable } from './thenable.ts'

/**
 * Whether a value can hold options: an object that is neither a list nor a promise, nor of a kind that the language or Node has built
 * in, such as a Date, a Map or an Error. Those have no options, so that what was meant by them would get lost.
 */
export function isOptionsObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || isThenable<unknown>(value)) return false
  return KINDS.includes(Object.prototype.toString.call(value))
}

// Objects of classes are of the first kind; what `import *` makes is of the second.
const KINDS = ['[object Object]', '[object Module]']
