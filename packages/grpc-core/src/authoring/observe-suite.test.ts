import { interceptorSuite } from '@grpc-stack/grpc-testing'
import { observe } from './observe.ts'

const nothing = () => undefined

interceptorSuite('an observer with every hook', () =>
  observe('everything', {
    start(_call, record) {
      record.countRequests()
      record.countResponses()
      record.measure((message) => JSON.stringify(message).length)
      record.followCredentials()
      return {
        request: nothing,
        response: nothing,
        headers: nothing,
        attempt: () => nothing,
        around: (proceed) => proceed(),
        end: nothing,
      }
    },
  }),
)
