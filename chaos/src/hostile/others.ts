import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { type Item, type Pattern, Stub } from '../service.ts'
import { delay } from '../turns.ts'

const EVERY_MS = 10
export const DEADLINE_MS = 20_000
/** Less than what the server allows one address. */
const MOST_AT_A_TIME = 25

/** Clients that do no harm: how they are served while others attack. */
export class Others {
  readonly #stub: Stub
  readonly #metadata = new Metadata()
  readonly #tookMs: number[] = []
  readonly #failed = new Map<string, number>()
  readonly #calls = new Set<Promise<void>>()
  #stopped = false
  #loop: Promise<void> = Promise.resolve()

  private constructor(stub: Stub) {
    this.#stub = stub
    this.#metadata.set('x-api-key', 'good')
  }

  static async connect(port: number): Promise<Others> {
    const stub = new Stub(`127.0.0.1:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
    await new Promise<void>((resolve, reject) => {
      stub.waitForReady(Date.now() + 20_000, (error) => (error ? reject(error) : resolve()))
    })
    return new Others(stub)
  }

  /** Makes a call every 10 ms, however long the ones before take, up to 25 at a time. */
  start(): void {
    this.#loop = this.#callOnAndOn()
  }

  /** Waits for the last call. */
  async stop(): Promise<{ calls: number; failed: string[]; p99Ms: number; worstMs: number }> {
    this.#stopped = true
    await this.#loop
    await Promise.all(this.#calls)
    const sorted = this.#tookMs.sort((a, b) => a - b)
    const at = (part: number): number => Math.round(sorted[Math.ceil(sorted.length * part) - 1] ?? 0)
    return {
      calls: sorted.length,
      failed: [...this.#failed].map(([what, times]) => `${times} calls of others ended ${what}`),
      p99Ms: at(0.99),
      worstMs: at(1),
    }
  }

  close(): void {
    this.#stub.close()
  }

  /** One call; its code. */
  call(pattern: Pattern): Promise<number> {
    const options = { deadline: Date.now() + DEADLINE_MS }
    const request: Item = { n: 1, size: 10 }
    return new Promise((resolve) => {
      const answered = (error: ServiceError | null): void => resolve(error?.code ?? 0)
      if (pattern === 'unary') this.#stub.unary(request, this.#metadata, options, answered)
      else if (pattern === 'clientStream') {
        const call = this.#stub.clientStream(this.#metadata, options, answered)
        call.write(request)
        call.end()
      } else {
        const call = pattern === 'bidi' ? this.#stub.bidi(this.#metadata, options) : undefined
        const responses = call ?? this.#stub.serverStream(request, this.#metadata, options)
        responses.on('error', () => undefined) // the status says the same
        responses.on('status', ({ code }) => resolve(code))
        responses.resume()
        call?.write(request)
        call?.end()
      }
    })
  }

  async #callOnAndOn(): Promise<void> {
    let due = performance.now()
    while (!this.#stopped) {
      while (this.#calls.size >= MOST_AT_A_TIME) await Promise.race(this.#calls)
      const call = this.#measured(due)
      this.#calls.add(call)
      void call.then(() => this.#calls.delete(call))
      due += EVERY_MS
      const wait = due - performance.now()
      if (wait > 0) await delay(wait)
      else due = performance.now()
    }
  }

  /** A call that starts late has waited, too. */
  async #measured(due: number): Promise<void> {
    const code = await this.call('unary')
    this.#tookMs.push(performance.now() - due)
    if (code !== 0) this.#failed.set(String(code), (this.#failed.get(String(code)) ?? 0) + 1)
  }
}
