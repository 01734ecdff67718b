import { show } from '../runtime/show.ts'
import type { MethodPredicate } from './namings.ts'

/**
 * What stands before and after the last slash of a matcher in text; `*` for a method that is left out.
 * @throws TypeError if it is malformed.
 */
export function splitText(text: string, where: string): { readonly service: string; readonly method: string } {
  const parts = text.split('/')
  if (parts[0] === '' && parts.length > 1) parts.shift()
  const [service = '', method = '*', ...rest] = parts
  const whole = text.startsWith('/')
  const starAmid = method !== '*' && (method.includes('*') || service.includes('*'))
  // Without its slash, a method could be a service of a package that is written with slashes.
  const slashMissing = !whole && parts.length > 1 && method !== '*'
  const malformed = service === '' || method === '' || rest.length > 0 || starAmid || SPACE.test(text)
  if (malformed || slashMissing || (whole && parts.length < 2)) throw malformedText(text, where)
  checkService(service, text, where)
  return { service, method }
}

/** @throws TypeError for a service that is malformed. */
export function matchService(service: string, where: string): MethodPredicate {
  checkService(service, service, where)
  if (service === '*') return () => true
  if (service.endsWith('.*')) {
    const prefix = service.slice(0, -1)
    return (method) => method.service.startsWith(prefix)
  }
  return (method) => method.service === service
}

export function matchPath(path: string): MethodPredicate {
  return (method) => method.path === path
}

/** White space is in no name, and in front or behind is not seen. */
export const SPACE: RegExp = /\s/

function checkService(service: string, text: string, where: string): void {
  const name = service.endsWith('.*') ? service.slice(0, -2) : service
  if (service !== '*' && (name === '' || /[*/\s]/.test(name))) throw malformedText(text, where)
}

function malformedText(text: string, where: string): TypeError {
  return new TypeError(
    `${where}: malformed matcher ${show(text)}; write "/pkg.Service/Method", "pkg.Service", "pkg.*" or "*"`,
  )
}
