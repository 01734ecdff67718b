import { nearestName } from '../authoring/nearest-name.ts'
import type { Naming } from '../compose/namings.ts'
import type { MethodInfo } from '../contract/method.ts'

/** A method of a server, and what generated code calls it. */
export interface RegisteredMethod extends MethodInfo {
  /** Such as `sayHello` for `SayHello`. */
  readonly aliases: readonly string[]
}

/**
 * What was probably meant by a name in a matcher that names none of these methods: one that differs by case, by the name in generated
 * code, by slashes, by a package that is left out, or by a few letters.
 */
export function suggestMethod({ name, member }: Naming, methods: readonly RegisteredMethod[]): string | undefined {
  const wanted = plain(name)
  if (wanted === '') return undefined
  const candidates = methods.flatMap((method) => [
    ...(member === 'method' ? [] : servicesOf(method)),
    ...(member === 'service' ? [] : namesOf(method, member === 'method')),
  ])
  const alike = candidates.find(({ written }) => written.some((way) => plain(way) === wanted))
  const meant = alike?.meant ?? nearestName(name, [...new Set(candidates.map((candidate) => candidate.meant))])
  return meant === name ? undefined : meant // a method of that name is in another service
}

interface Candidate {
  readonly meant: string
  /** How it may have been written instead. */
  readonly written: readonly string[]
}

function servicesOf({ service }: RegisteredMethod): readonly Candidate[] {
  const packages = service.split('.').slice(0, -1)
  return [
    { meant: service, written: [service, bareName(service)] },
    ...packages.map((_, i) => {
      const name = packages.slice(0, i + 1).join('.')
      return { meant: `${name}.*`, written: [name] }
    }),
  ]
}

function namesOf({ path, service, name, aliases }: RegisteredMethod, bare: boolean): readonly Candidate[] {
  const names = [name, ...aliases]
  if (bare) return [{ meant: name, written: names }]
  const services = [service, bareName(service)]
  const written = names.flatMap((each) => [each, ...services.flatMap((at) => [`${at}/${each}`, `${at}.${each}`])])
  return [{ meant: path, written }]
}

function bareName(service: string): string {
  return service.slice(service.lastIndexOf('.') + 1)
}

/** Without what people leave out or add: case, white space, the slash in front, stars, slashes and dots behind. */
function plain(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/^\/+/, '')
    .replace(/[/.*]+$/, '')
}
