export { type FreeEndedCallsOptions, freeEndedCalls, status } from './free-ended-calls.ts'
export type { FreeingStatus, PartStatus } from './freeing-status.ts'
