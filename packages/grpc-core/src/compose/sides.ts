import type { Interceptor } from '../contract/call.ts'
import { type OneSided, oneSided } from '../contract/interceptor-marks.ts'
import { contentsOf } from './contents.ts'

export type Side = 'client' | 'server'

/**
 * Refuses an interceptor that does nothing on this side, also within compositions.
 * @param place of the interceptor: `createServer: option "interceptors": interceptor 0`
 * @throws TypeError that names it and says what to write.
 */
export function checkSide(interceptor: Interceptor, side: Side, place: string): void {
  const mark = oneSided(interceptor)
  if (mark !== undefined && mark.side !== side) throw wrongSide(mark, side, place)
  const contents = contentsOf(interceptor)
  for (const { at, list } of contents?.branches ?? []) {
    for (const [i, inner] of list.entries()) {
      checkSide(inner, side, `${place} is ${contents?.name}, of which ${at}interceptor ${i}`)
    }
  }
}

function wrongSide({ name, side: meant, instead }: OneSided, side: Side, place: string): TypeError {
  const advice = instead === undefined ? `give it to ${TAKERS[meant]}` : `on a ${side} use ${instead}`
  return new TypeError(`${place} is ${name}, which is for ${meant}s: ${advice}`)
}

const TAKERS: Readonly<Record<Side, string>> = {
  client: 'interceptChannel(), clientInterceptors() or the calls of createClient()',
  server: 'createServer() or serverInterceptors()',
}
