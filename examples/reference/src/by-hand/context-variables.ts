import { ContextVar } from '@grpc-stack/grpc-core'

/** Context variables for passing state. */
export const requestIdVar: ContextVar<string> = new ContextVar('request_id')
export const userIdVar: ContextVar<string> = new ContextVar('user_id')
