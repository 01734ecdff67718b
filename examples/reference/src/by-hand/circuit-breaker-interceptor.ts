import { status } from '@grpc/grpc-js'
import {
  type ClientCallDetails,
  RpcError,
  type UnaryUnaryClientInterceptor,
  type UnaryUnaryContinuation,
} from '@grpc-stack/grpc-core'

export type CircuitState = 'closed' | 'open' | 'half_open'

interface Circuit {
  state: CircuitState
  failures: number
  openedAt: number
  halfOpenCalls: number
  /** Changes with the state, so that the outcome of a call begun in another state counts for nothing. */
  generation: number
}

const FAILURES: readonly number[] = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.INTERNAL, status.UNKNOWN]

export class CircuitBreakerInterceptor implements UnaryUnaryClientInterceptor {
  readonly #failureThreshold: number
  readonly #timeoutMs: number
  readonly #halfOpenMaxCalls: number
  readonly #now: () => number
  readonly #circuits = new Map<string, Circuit>()

  constructor(failureThreshold = 5, timeoutMs = 60_000, halfOpenMaxCalls = 3, now = () => performance.now()) {
    this.#failureThreshold = failureThreshold
    this.#timeoutMs = timeoutMs
    this.#halfOpenMaxCalls = halfOpenMaxCalls
    this.#now = now
  }

  state(service: string): CircuitState {
    return this.#circuit(service).state
  }

  async interceptUnaryUnary<Q, R>(
    continuation: UnaryUnaryContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): Promise<R> {
    const circuit = this.#circuit(details.method.split('/')[1] ?? '')
    if (circuit.state === 'open' && this.#now() - circuit.openedAt > this.#timeoutMs) this.#change(circuit, 'half_open')
    if (circuit.state === 'open') throw new RpcError(status.UNAVAILABLE, 'Circuit breaker is OPEN')
    if (circuit.state === 'half_open' && circuit.halfOpenCalls >= this.#halfOpenMaxCalls) {
      throw new RpcError(status.UNAVAILABLE, 'Circuit breaker is HALF_OPEN with max calls reached')
    }
    circuit.halfOpenCalls++
    const { generation } = circuit
    try {
      const response = await continuation(details, request)
      if (generation === circuit.generation) this.#succeeded(circuit)
      return response
    } catch (error) {
      const failed = error instanceof RpcError && FAILURES.includes(error.code)
      if (failed && generation === circuit.generation) this.#failed(circuit)
      throw error
    } finally {
      if (generation === circuit.generation) circuit.halfOpenCalls--
    }
  }

  #succeeded(circuit: Circuit): void {
    circuit.failures = 0
    if (circuit.state === 'half_open') this.#change(circuit, 'closed')
  }

  #failed(circuit: Circuit): void {
    circuit.failures++
    if (circuit.state === 'half_open' || circuit.failures >= this.#failureThreshold) this.#change(circuit, 'open')
  }

  #change(circuit: Circuit, state: CircuitState): void {
    circuit.state = state
    circuit.generation++
    circuit.failures = 0
    circuit.halfOpenCalls = 0
    if (state === 'open') circuit.openedAt = this.#now()
  }

  #circuit(service: string): Circuit {
    let circuit = this.#circuits.get(service)
    if (circuit === undefined) {
      circuit = { state: 'closed', failures: 0, openedAt: 0, halfOpenCalls: 0, generation: 0 }
      this.#circuits.set(service, circuit)
    }
    return circuit
  }
}
