import type { Interceptor } from '../call.ts'
export interface ClientContract {
  interceptUnaryUnary?: unknown
}
export interface ServerContract {
  interceptService?: unknown
}
export function adaptContract(_item: unknown): Interceptor | undefined {
  return undefined
}
