import { status as Code } from '@grpc/grpc-js'
import { expect, it } from 'vitest'
import { codeIndex, codeNames, goCodeNames } from './code-names.ts'

it('codes are called as grpc-js calls them', () => {
  expect(codeNames).toHaveLength(17)
  expect(codeNames[Code.NOT_FOUND]).toBe('NOT_FOUND')
})

it('and, for Prometheus, as Go calls them', () => {
  // grpc-go: codes/code_string.go
  expect(goCodeNames).toEqual([
    'OK',
    'Canceled',
    'Unknown',
    'InvalidArgument',
    'DeadlineExceeded',
    'NotFound',
    'AlreadyExists',
    'PermissionDenied',
    'ResourceExhausted',
    'FailedPrecondition',
    'Aborted',
    'OutOfRange',
    'Unimplemented',
    'Internal',
    'Unavailable',
    'DataLoss',
    'Unauthenticated',
  ])
})

it.each([[17], [-1], [1.5], [Number.NaN], [4711]])('%s is no code, and counts as UNKNOWN', (code) => {
  expect(codeIndex(code)).toBe(Code.UNKNOWN)
})
