import { interceptorSuite } from '@grpc-stack/grpc-testing'
import { retry } from './index.ts'

// Every call is replayable, none is retried: what is left is what watching costs.
const watching = () => retry({ retryIf: () => false })

interceptorSuite('retry', () => ({ client: watching() }))
interceptorSuite('retry inside retry', () => ({ client: [watching(), watching()] }))
interceptorSuite('retry that holds headers back', () => ({
  client: retry({ retryIf: () => false, commit: 'message' }),
  replayable: true,
}))
interceptorSuite('retry, as the README of grpc-testing has it', () => ({
  client: retry({ maxAttempts: 3, retryIf: () => false }),
}))
