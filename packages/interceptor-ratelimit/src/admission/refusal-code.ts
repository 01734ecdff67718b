import type { status as Code } from '@grpc/grpc-js'
import { accepts, type OptionKind } from '@grpc-stack/grpc-core/authoring'

/** An option for the code of refusals: any but OK. */
export const refusalCode: OptionKind<Code> = accepts(
  'a status code from 1 to 16',
  (value): value is Code => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 16,
)
