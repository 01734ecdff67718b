import { ContextVar } from '@grpc-stack/grpc-core'

/**
 * The id of the request being handled or made, where `requestId()` is on the stack:
 *
 *     requestIdVar.get('none')
 */
// Lazy, because this module is loaded by whoever loads logging(): contexts are entered once requestId() is used.
export const requestIdVar: ContextVar<string> = new ContextVar<string>('requestId', { lazy: true })
