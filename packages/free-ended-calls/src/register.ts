import { freeEndedCalls } from './free-ended-calls.ts'

freeEndedCalls()
