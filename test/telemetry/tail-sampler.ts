import type { ReceivedSpan } from '../../packages/interceptor-tracing/test/otlp-receiver.ts'

/** Decides by the spans of one trace. */
export type Policy = (spans: readonly ReceivedSpan[]) => boolean

interface PolicyText {
  readonly name: string
  readonly type: string
  readonly [type: string]: unknown
}

/** Of the span status in OTLP. */
const STATUS_CODES = ['UNSET', 'OK', 'ERROR']

/** The policies of a `tail_sampling` processor, by name, as the collector has them: any span of a trace may match. */
export function policiesOf(yaml: string): ReadonlyMap<string, Policy> {
  const lines = [...yaml.matchAll(/^ +- (\{ name: .*\})$/gm)].map(([, line]) => parse(line as string))
  return new Map(lines.map((line) => [line.name, policyOf(line)]))
}

/** One line of YAML's flow style: JSON without most of the quotes. */
function parse(line: string): PolicyText {
  const json = line.replaceAll(/'([^']*)'|[A-Za-z_][\w.-]*/g, (word, quoted?: string) =>
    quoted === undefined && (word === 'true' || word === 'false') ? word : JSON.stringify(quoted ?? word),
  )
  return JSON.parse(json) as PolicyText
}

function policyOf(policy: PolicyText): Policy {
  const { name, type } = policy
  const settings = policy[type]
  switch (type) {
    case 'status_code': {
      const { status_codes } = settings as { readonly status_codes: readonly string[] }
      return (spans) => spans.some(({ status }) => status_codes.includes(STATUS_CODES[status.code] as string))
    }
    case 'string_attribute': {
      const { key, values, enabled_regex_matching } = settings as {
        readonly key: string
        readonly values: readonly string[]
        readonly enabled_regex_matching?: boolean
      }
      const matches = (value: string): boolean =>
        enabled_regex_matching ? values.some((text) => new RegExp(text).test(value)) : values.includes(value)
      return (spans) =>
        spans.some(({ attributes: { [key]: value } }) => typeof value === 'string' && value !== '' && matches(value))
    }
    case 'numeric_attribute': {
      const { key, min_value, max_value } = settings as {
        readonly key: string
        readonly min_value: number
        readonly max_value: number
      }
      return (spans) =>
        spans.some(
          ({ attributes: { [key]: value } }) => typeof value === 'number' && value >= min_value && value <= max_value,
        )
    }
    case 'latency': {
      const { threshold_ms } = settings as { readonly threshold_ms: number }
      return (spans) =>
        Math.max(...spans.map(({ endMs }) => endMs)) - Math.min(...spans.map(({ startMs }) => startMs)) >= threshold_ms
    }
    case 'probabilistic':
      // Chance tells nothing of a trace.
      return () => false
    default:
      throw new Error(`policy ${name}: unknown type ${type}`)
  }
}
