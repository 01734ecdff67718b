import { metadataOf } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { maskedMetadata } from './masked-metadata.ts'

describe('masked metadata', () => {
  it.each([
    'authorization',
    'proxy-authorization',
    'x-goog-iam-authorization-token',
    'cookie',
    'set-cookie',
    'x-api-key',
    'apikey',
    'x-auth-token',
    'access-token',
    'x-csrf-token',
    'x-amz-security-token',
    'client-secret',
    'x-password',
    'x-user-credentials',
    'session-id',
    'x-jwt-assertion',
    'x-auth',
    'token-bin',
    'private-key',
    'private_key',
    'api_key',
    'x-api.key',
    'ssh-passphrase',
    'secret',
    'signing-key',
  ])('%s is a credential', (key) => {
    expect(
      maskedMetadata(metadataOf(key.endsWith('-bin') ? { [key]: Buffer.of(1) } : { [key]: 'v' }), new Set([key])),
    ).toEqual({ [key]: '[masked]' })
  })

  it.each([
    'x-request-id',
    'user-agent',
    'x-tenant',
    'author',
    'x-keyboard',
    'content-type',
    'grpc-timeout',
    'traceparent',
  ])('%s is not', (key) => {
    expect(maskedMetadata(metadataOf({ [key]: 'v' }), new Set([key]))).toEqual({ [key]: 'v' })
  })

  it('bounds values and the number of keys', () => {
    const many = metadataOf(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, 'v'])))
    expect(Object.keys(maskedMetadata(many, new Set()))).toHaveLength(64)
    expect(maskedMetadata(metadataOf({ long: 'x'.repeat(1000) }), new Set(['long'])).long).toBe(`${'x'.repeat(256)}…`)
  })
})
