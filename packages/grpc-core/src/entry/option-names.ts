import { nearestName } from '../authoring/nearest-name.ts'
import { CHANNEL_OPTIONS } from '../grpc-js/channel-option-names.ts'
import { isOptionsObject } from '../runtime/options-object.ts'
import { show } from '../runtime/show.ts'

/** @throws TypeError for what holds no options */
export function checkOptionsObject(where: string, options: unknown, example: string): void {
  if (!isOptionsObject(options)) {
    throw new TypeError(`${where}: options must be an object such as ${example}, got ${show(options)}`)
  }
}

/**
 * Options beside which grpc-js's own may stand. A name that is neither would be left unread, whatever was meant by it, and so would a
 * misspelt one of grpc-js. Inherited names count, since what reads options reads those too.
 * @throws TypeError for such a name.
 */
export function checkNames(where: string, options: object, own: readonly string[]): void {
  for (const name in options) {
    if (own.includes(name)) continue
    if (/^grpc(-node)?\./.test(name)) {
      const meant = meantChannelOption(name)
      if (meant === undefined) continue
      throw new TypeError(`${where}: unknown option "${name}"; did you mean "${meant}"?`)
    }
    const known = [...own.map((known) => `"${known}"`), 'those of grpc-js, which begin with "grpc."']
    throw new TypeError(
      `${where}: unknown option "${name}". Known are ${known.join(', ').replace(/, (?=those)/, ' and ')}`,
    )
  }
}

/**
 * The option of grpc-js that was probably meant by a name that begins with `grpc.` or `grpc-node.` and is none. Undefined for one of
 * grpc-js's own, and for one that is not within two letters of any: gRPC libraries share names, and each leaves those of the others
 * alone.
 */
function meantChannelOption(name: string): string | undefined {
  if (CHANNEL_OPTIONS.includes(name) || ELSEWHERE.includes(name)) return undefined
  const given = plain(name)
  const meant = nearestName(given, CHANNEL_OPTIONS.map(plain), MOST_EDITS)
  return CHANNEL_OPTIONS.find((known) => plain(known) === meant)
}

// Of other gRPC libraries, and within two letters of one here.
const ELSEWHERE = ['grpc.min_reconnect_backoff_ms']

const MOST_EDITS = 2

/** Without what people confuse: the prefix, case, and what stands between words. */
function plain(name: string): string {
  return name
    .replace(/^grpc(-node)?\./, '')
    .replace(/[-_.]/g, '')
    .toLowerCase()
}
