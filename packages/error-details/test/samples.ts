import {
  badRequest,
  debugInfo,
  errorInfo,
  help,
  localizedMessage,
  preconditionFailure,
  quotaFailure,
  requestInfo,
  resourceInfo,
  retryInfo,
  type StandardDetail,
} from '../src/index.ts'

/** One detail of each standard type, with every member. */
export const samples: readonly StandardDetail[] = [
  errorInfo({ reason: 'OUT_OF_STOCK', domain: 'shop.example.com', metadata: { sku: 'A-1', warehouse: 'Zürich' } }),
  retryInfo({ retryDelayMs: 1_250 }),
  debugInfo({ stackEntries: ['at a', 'at b'], detail: 'more' }),
  quotaFailure({
    violations: [
      {
        subject: 'clientip:203.0.113.9',
        description: '100 per minute',
        apiService: 'shop.example.com',
        quotaMetric: 'shop.example.com/orders',
        quotaId: 'ORDERS-per-minute',
        quotaDimensions: { region: 'eu' },
        quotaValue: 9_007_199_254_740_993n,
        futureQuotaValue: 0n,
      },
      { subject: 'project:7', description: '' },
    ],
  }),
  preconditionFailure({ violations: [{ type: 'TOS', subject: 'shop.example.com', description: 'not accepted' }] }),
  badRequest({
    fieldViolations: [
      {
        field: 'items[0].sku',
        description: 'unknown',
        reason: 'UNKNOWN_SKU',
        localizedMessage: { locale: 'de-CH', message: 'unbekannt' },
      },
    ],
  }),
  requestInfo({ requestId: 'r-1', servingData: 'opaque' }),
  resourceInfo({ resourceType: 'order', resourceName: 'orders/7', owner: 'user:7', description: 'closed' }),
  help({ links: [{ description: 'how to order', url: 'https://shop.example.com/help' }] }),
  localizedMessage({ locale: 'fr-CH', message: 'épuisé' }),
]
