/** The version of this package. `scripts/write-version.mjs` writes it, as part of `npm run version`. */
export const VERSION: string = '0.9.0'

/**
 * What copies of this package have to agree on to work together in one process; docs/decisions/0013-several-copies-as-one.md lists
 * it. Another number is a breaking change.
 */
export const PROTOCOL: number = 1
