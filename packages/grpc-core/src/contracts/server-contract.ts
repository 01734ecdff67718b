export interface ServerInterceptor {
  interceptService(continuation: unknown, details: unknown): unknown
}
