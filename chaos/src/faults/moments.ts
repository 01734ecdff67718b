/** The moments of a call at which something happens to the server's process. */
export const moments = [
  'before headers',
  'after headers',
  'mid-stream',
  'half-closed',
  'after the last message',
] as const

export type Moment = (typeof moments)[number]

/** The metadata in which a call says at which moment its handler waits. */
export const MOMENT = 'chaos-moment'

export type ToServer = 'go on' | 'drain' | 'held'

export type FromServer =
  | { readonly port: number }
  | { readonly at: Moment }
  /** How many handlers run, and where the observers disagree. */
  | { readonly handlers: number; readonly wrong: readonly string[] }
