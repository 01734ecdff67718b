export type { ExemplarLabels, ExemplarOf } from './prometheus/exemplar.ts'
export type { AnyRegistry } from './prometheus/family.ts'
export {
  type PrometheusOptions,
  type PrometheusRecorder,
  prometheus,
  type ServiceMethods,
} from './prometheus/prometheus.ts'
