import { status as Code } from '@grpc/grpc-js'

/** `OK`, `NOT_FOUND`, …: the names of gRPC's specification and of grpc-js, by number. */
export const codeNames: readonly string[] = Array.from({ length: 17 }, (_, code) => Code[code] as string)

/**
 * The names Go gives them, by number, which all dashboards around go-grpc-prometheus select by
 * (grpc-go: codes/code_string.go). `Canceled` has one l.
 */
export const goCodeNames: readonly string[] = codeNames.map((name) => {
  if (name === 'OK') return 'OK'
  if (name === 'CANCELLED') return 'Canceled'
  return name.replace(/([A-Z])([A-Z]*)_?/g, (_, first: string, rest: string) => first + rest.toLowerCase())
})

/**
 * The index of a code in these lists. What is not a code of gRPC counts as UNKNOWN, as the specification says: a peer that
 * sends numbers of its own must not make series.
 */
export function codeIndex(code: number): number {
  return Number.isInteger(code) && code >= 0 && code <= 16 ? code : Code.UNKNOWN
}
