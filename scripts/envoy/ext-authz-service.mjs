// node ext-authz-service.mjs <file> <port>: Envoy's external authorization. The file says which paths are denied, for how many seconds an
// answer holds, and how long each takes: { "deny": ["/shop.storefront.Storefront/Browse"], "maxAgeSeconds": 0, "delayMs": 0 }
import { serve } from './serve.mjs'

const OK = 0
const PERMISSION_DENIED = 7
const FORBIDDEN = 403

serve(
  '../../packages/interceptor-auth/src/ext-authz/authorization.proto',
  'envoy.service.auth.v3.Authorization',
  'Check',
  ({ attributes }, { deny = [], maxAgeSeconds = 0 }) => {
    const { path } = attributes.request.http
    const kept = maxAgeSeconds > 0 && {
      dynamicMetadata: { fields: { max_age_seconds: { numberValue: maxAgeSeconds } } },
    }
    if (!deny.includes(path)) return { status: { code: OK }, okResponse: {}, ...kept }
    const body = `${path} is denied by the external authorization of the demo`
    return { status: { code: PERMISSION_DENIED }, deniedResponse: { status: { code: FORBIDDEN }, body }, ...kept }
  },
)
