import { status as Code, credentials, Metadata, makeGenericClientConstructor } from '@grpc/grpc-js'
import { type ClientCall, clientInterceptors, type Interceptor } from '@grpc-stack/grpc-core'
import { logging } from '@grpc-stack/interceptor-logging'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { prometheus } from '@grpc-stack/interceptor-metrics/prometheus'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { context, propagation, SpanKind, trace } from '@opentelemetry/api'
import { Counter, Histogram, Registry } from 'prom-client'
import type { Decide, Subjects } from './micro.ts'
import { Echo, type Payload, SMALL } from './service.ts'
import { intoMetadata, nullLogger, SPAN_ATTRIBUTES, startTracing } from './telemetry.ts'

/** Answers in place of a server. */
const answering: Interceptor<ClientCall> = (call) => {
  void call.respond(SMALL)
  return { code: Code.OK }
}

/** A call of a grpc-js stub through the engine and back, with no network under it. */
function callThrough(...interceptors: Interceptor[]): Decide {
  const EchoClient = makeGenericClientConstructor(Echo, 'bench.v1.Echo')
  const client = new EchoClient('127.0.0.1:50051', credentials.createInsecure(), {
    interceptors: clientInterceptors(...interceptors, answering),
  })
  const { path, requestSerialize, responseDeserialize } = Echo.unary
  return () =>
    new Promise<Payload | undefined>((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, SMALL, (error, response) =>
        error ? reject(error) : resolve(response),
      )
    })
}

/** What watching one call takes, beside the least that leaves the same behind with the same library. */
export function recordingSubjects(): Subjects {
  startTracing()
  const logger = nullLogger()
  const fields = {
    protocol: 'grpc',
    'grpc.component': 'client',
    'grpc.service': 'bench.v1.Echo',
    'grpc.method': 'Unary',
    'grpc.method_type': 'unary',
    'grpc.code': 'OK',
    'grpc.start_time': new Date().toISOString(),
    'peer.address': '127.0.0.1:50051',
  }
  return {
    'a client span': { less: callThrough(), 'interceptor-tracing': callThrough(tracing()), 'by hand': spanByHand() },
    'Prometheus: two counters and a histogram': {
      less: callThrough(),
      'interceptor-metrics': callThrough(metrics({ recorder: prometheus({ registry: new Registry() }) })),
      'prom-client by hand': countersByHand(),
    },
    'a line of pino': {
      less: callThrough(),
      'interceptor-logging': callThrough(logging({ logger, levels: { OK: 'info' } })),
      'by hand': () => logger.info({ ...fields, 'grpc.time_ms': performance.now() % 10 }, 'finished call'),
    },
  }
}

function spanByHand(): Decide {
  const tracer = trace.getTracer('by hand')
  const nothing = (): void => undefined
  return () => {
    const span = tracer.startSpan('bench.v1.Echo/Unary', { kind: SpanKind.CLIENT, attributes: SPAN_ATTRIBUTES })
    const inside = trace.setSpan(context.active(), span)
    propagation.inject(inside, new Metadata(), intoMetadata)
    context.with(inside, nothing)
    span.setAttribute('rpc.status_code', 'OK')
    span.end()
  }
}

function countersByHand(): Decide {
  const registers = [new Registry()]
  const labelNames = ['grpc_type', 'grpc_service', 'grpc_method'] as const
  const labels = { grpc_type: 'unary', grpc_service: 'bench.v1.Echo', grpc_method: 'Unary' }
  const started = new Counter({ name: 'started', help: '-', registers, labelNames })
  const handled = new Counter({ name: 'handled', help: '-', registers, labelNames: [...labelNames, 'grpc_code'] })
  const seconds = new Histogram({ name: 'seconds', help: '-', registers, labelNames })
  return () => {
    started.inc(labels)
    handled.inc({ ...labels, grpc_code: 'OK' })
    seconds.observe(labels, 0.0015)
  }
}
