import { types } from 'node:util'
import type { Parts } from './freeing-status.ts'
import { FreshMap } from './fresh-map.ts'

/** Replaces the map in which an HTTP/2 session has its streams (Node 20 to 26: session[kState].streams, a Map by stream id). */
export function renewStreamsOf(session: object, parts: Parts): void {
  const state = stateOf(session)
  const streams = state?.streams
  if (state === undefined || !types.isMap(streams)) {
    parts.unknown('sessionStreams', 'an HTTP/2 session keeps its streams in no map that is known')
    return
  }
  // Node's own kind of Map shares no prototype with Map, so it is read by Map's method.
  state.streams = new FreshMap(Map.prototype.entries.call(streams))
  parts.active('sessionStreams')
}

interface SessionState {
  streams: unknown
}

function stateOf(session: object): SessionState | undefined {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state')
  if (key === undefined) return undefined
  const state = (session as Record<symbol, unknown>)[key]
  if (typeof state !== 'object' || state === null) return undefined
  const property = Object.getOwnPropertyDescriptor(state, 'streams')
  return property?.writable === true ? (state as SessionState) : undefined
}
