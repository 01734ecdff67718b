import { interceptorSuite } from '@grpc-stack/grpc-testing'
import { retry } from './index.ts'

// Every call is replayable, none is retried: what is left is what watching costs.
const watching = () => retry({ retryIf: () => false })

interceptorSuite('retry', () => ({ client: watching(), replayable: true }))
interceptorSuite('retry inside retry', () => ({ client: [watching(), watching()], replayable: true }))
