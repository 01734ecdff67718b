export {
  type ExtAuthzCounters,
  type ExtAuthzEvents,
  type ExtAuthzInterceptor,
  type ExtAuthzOptions,
  extAuthz,
} from './ext-authz/ext-authz.ts'
