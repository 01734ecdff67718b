export {
  type Descriptor,
  type RateLimitServiceCounters,
  type RateLimitServiceEvents,
  type RateLimitServiceInterceptor,
  type RateLimitServiceOptions,
  rateLimitService,
} from './rls/rate-limit-service.ts'
