import { freeEndedCalls } from './free-ended-calls.ts'

freeEndedCalls()

export { status } from './free-ended-calls.ts'
