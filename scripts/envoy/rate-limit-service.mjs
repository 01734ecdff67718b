// node rate-limit-service.mjs <file> <port>: Envoy's rate limit service, which counts in windows as the reference implementation does. The
// file says how many calls there may be in one for each descriptor, and how long each answer takes:
// { "requestsPerUnit": 20, "unit": "second", "delayMs": 0 }
import { serve } from './serve.mjs'

const OK = 1
const OVER_LIMIT = 2
/** Their numbers, and how long they are. */
const units = { second: [1, 1000], minute: [2, 60_000], hour: [3, 3_600_000], day: [4, 86_400_000] }

/** By descriptor: which window, and how many in it. */
const counters = new Map()

serve(
  '../../packages/interceptor-ratelimit/src/rls/rls.proto',
  'envoy.service.ratelimit.v3.RateLimitService',
  'ShouldRateLimit',
  ({ domain, descriptors, hitsAddend }, { requestsPerUnit, unit = 'second' }) => {
    const [number, lengthMs] = units[unit] ?? units.second
    const now = Date.now()
    const window = Math.floor(now / lengthMs)
    const leftMs = (window + 1) * lengthMs - now
    const durationUntilReset = { seconds: Math.floor(leftMs / 1000), nanos: (leftMs % 1000) * 1_000_000 }
    const statuses = descriptors.map(({ entries }) => {
      const key = JSON.stringify([domain, unit, entries])
      const before = counters.get(key)
      const count = (before?.window === window ? before.count : 0) + Math.max(1, hitsAddend)
      counters.set(key, { window, count })
      return {
        code: count > requestsPerUnit ? OVER_LIMIT : OK,
        currentLimit: { requestsPerUnit, unit: number },
        limitRemaining: Math.max(0, requestsPerUnit - count),
        durationUntilReset,
      }
    })
    return { overallCode: statuses.some(({ code }) => code === OVER_LIMIT) ? OVER_LIMIT : OK, statuses }
  },
)
