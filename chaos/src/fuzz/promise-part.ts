import type { CallHandle, ServiceClient } from '@grpc-stack/grpc-core'
import { RpcError } from '@grpc-stack/grpc-core'
import type { Item, service } from '../service.ts'
import type { ClientPart, Opening } from './client-part.ts'
import { metadataText } from './metadata-text.ts'

type ChaosClient = ServiceClient<typeof service>

/** A call of a promise client. */
export class PromiseCall implements ClientPart {
  readonly events: string[] = []
  readonly writes: string[] = []
  readonly violations: string[] = []
  readonly delivered: number[] = []
  readonly confirmed: number[] = []
  headersSeen = false
  paused = false
  halfClosed = false
  code: number | undefined
  details: string | undefined
  isOver = false
  readonly #requests: Item[] = []
  #cancel: () => void = () => undefined
  #wakeRequests: (() => void) | undefined
  #wakeReader: (() => void) | undefined

  constructor(client: ChaosClient, { pattern, request, metadata, options }: Opening) {
    this.halfClosed = request !== undefined
    const settings = { ...options, metadata }
    if (pattern === 'unary') void this.#unary(client.unary(request as Item, settings))
    else if (pattern === 'clientStream') void this.#unary(client.clientStream(this.#source(), settings))
    else if (pattern === 'serverStream') void this.#stream(client.serverStream(request as Item, settings))
    else void this.#stream(client.bidi(this.#source(), settings))
  }

  get arrived(): number {
    return this.delivered.length
  }

  write(item: Item): void {
    this.#requests.push(item)
    this.#wakeRequests?.()
  }

  halfClose(): void {
    this.halfClosed = true
    this.#wakeRequests?.()
  }

  cancel(): void {
    this.#cancel()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#wakeReader?.()
  }

  async *#source(): AsyncGenerator<Item> {
    for (;;) {
      const next = this.#requests.shift()
      if (next !== undefined) yield next
      else if (this.halfClosed || this.isOver) return
      else {
        await new Promise<void>((resolve) => {
          this.#wakeRequests = resolve
        })
      }
    }
  }

  async #unary(call: ReturnType<ChaosClient['unary']>): Promise<void> {
    this.#watch(call)
    try {
      const { n, size } = await call
      this.delivered.push(n)
      this.events.push(`response ${n}/${size}`)
    } catch (error) {
      this.#failed(error)
    }
    await this.#settled(call)
  }

  async #stream(call: ReturnType<ChaosClient['serverStream']>): Promise<void> {
    this.#watch(call)
    try {
      for await (const { n, size } of call) {
        this.delivered.push(n)
        this.events.push(`message ${n}/${size}`)
        while (this.paused && this.code === undefined) {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve
          })
        }
      }
    } catch (error) {
      this.#failed(error)
    }
    await this.#settled(call)
  }

  #watch(call: CallHandle): void {
    this.#cancel = () => call.cancel()
    void call.headers.then((headers) => {
      this.headersSeen = true
      this.events.push(`headers ${metadataText(headers)}`)
    })
    void call.status.then(() => this.#wakeReader?.())
  }

  #failed(error: unknown): void {
    if (!(error instanceof RpcError)) this.violations.push(`failed with something that is no RpcError: ${error}`)
    this.events.push(`error ${String(error)}`)
  }

  async #settled(call: CallHandle): Promise<void> {
    const { code, details = '', metadata } = await call.status
    this.code = code
    this.details = details
    this.events.push(`status ${code} ${details} ${metadataText(metadata)}`)
    this.isOver = true
    this.#wakeRequests?.()
  }
}
