import { status as Code } from '@grpc/grpc-js'
import {
  badRequest,
  decodeStatus,
  type ErrorDetail,
  errorInfo,
  help,
  preconditionFailure,
  quotaFailure,
  requestInfo,
  resourceInfo,
  retryInfo,
} from '@grpc-stack/error-details'
import { RpcError } from '@grpc-stack/grpc-core'
import { startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { missingPythonProtobuf, runPython } from './python.ts'

const details: readonly ErrorDetail[] = [
  errorInfo({ reason: 'OUT_OF_STOCK', domain: 'shop.example.com', metadata: { sku: 'Zürich' } }),
  retryInfo({ retryDelayMs: 1_250 }),
  quotaFailure({
    violations: [
      {
        subject: 'a',
        description: 'b',
        apiService: 'c',
        quotaMetric: 'd',
        quotaId: 'e',
        quotaDimensions: { f: 'g' },
        quotaValue: 9_007_199_254_740_993n,
        futureQuotaValue: 0n,
      },
    ],
  }),
  preconditionFailure({ violations: [{ type: 'TOS', subject: 's', description: 'd' }] }),
  badRequest({
    fieldViolations: [
      { field: 'sku', description: 'd', reason: 'R', localizedMessage: { locale: 'fr-CH', message: 'm' } },
    ],
  }),
  requestInfo({ requestId: 'r', servingData: 's' }),
  resourceInfo({ resourceType: 't', resourceName: 'n', owner: 'o', description: 'd' }),
  help({ links: [{ description: 'd', url: 'u' }] }),
]

describe('error details and gRPC Python', () => {
  it('read what the other wrote', async ({ skip }) => {
    if (missingPythonProtobuf) skip(missingPythonProtobuf)
    const fail = (): never => {
      throw new RpcError(Code.RESOURCE_EXHAUSTED, 'slow down', { details })
    }
    await using server = await startTestServer({ interceptors: [fail] })
    const checks = await runPython('details.py', Number(server.address.split(':')[1]))
    const read = checks.get('details')
    expect(read).toMatchObject({ code: 8, text: 'slow down', status: { code: 8, message: 'slow down' } })
    const type = 'type.googleapis.com/google.rpc.'
    expect(read?.status).toHaveProperty('details')
    const { details: seen } = (read?.status ?? {}) as { details?: unknown[] }
    expect(seen).toMatchObject([
      { '@type': `${type}ErrorInfo`, reason: 'OUT_OF_STOCK', metadata: { sku: 'Zürich' } },
      { '@type': `${type}RetryInfo`, retryDelay: '1.250s' },
      {
        violations: [
          { apiService: 'c', quotaDimensions: { f: 'g' }, quotaValue: '9007199254740993', futureQuotaValue: '0' },
        ],
      },
      { violations: [{ type: 'TOS', subject: 's', description: 'd' }] },
      { fieldViolations: [{ field: 'sku', reason: 'R', localizedMessage: { locale: 'fr-CH', message: 'm' } }] },
      { requestId: 'r', servingData: 's' },
      { resourceType: 't', resourceName: 'n', owner: 'o', description: 'd' },
      { links: [{ description: 'd', url: 'u' }] },
    ])
    expect(decodeStatus(Buffer.from(String(read?.made), 'hex'))).toEqual({ code: 8, message: 'slow down', details })
  }, 30_000)
})
