/** The version of this package, which spans name. `scripts/write-version.mjs` writes it, as part of `npm run version`. */
export const VERSION: string = '0.9.0'
