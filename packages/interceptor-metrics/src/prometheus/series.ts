import type { Call, Status } from '@grpc-stack/grpc-core'
import type { MeasuredMethod } from '../recorder.ts'
import { codeIndex } from '../series/code-names.ts'
import { MethodSeries } from '../series/method-series.ts'
import { type ExemplarOf, Exemplars } from './exemplar.ts'

/** The labels go-grpc-prometheus gives every figure of a method. */
export interface MethodLabels {
  readonly grpc_type: string
  readonly grpc_service: string
  readonly grpc_method: string
}

/** The figures of a method and what Prometheus knows it by. */
export class PrometheusSeries extends MethodSeries {
  readonly labels: MethodLabels
  readonly exemplars: Exemplars | undefined

  constructor(method: MeasuredMethod, boundsMs: readonly number[], exemplarOf: ExemplarOf | undefined) {
    super(method, boundsMs)
    this.labels = { grpc_type: method.type, grpc_service: method.service, grpc_method: method.name }
    this.exemplars = exemplarOf && new Exemplars(exemplarOf)
  }

  override started(call: Call): void {
    super.started(call)
    this.exemplars?.started(call)
  }

  override ended(call: Call, status: Status, durationMs: number): void {
    const bucket = this.observe(status, durationMs)
    this.exemplars?.ended(call, { ...status, code: codeIndex(status.code) }, durationMs / 1000, bucket)
  }
}
