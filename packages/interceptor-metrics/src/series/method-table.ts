import type { MeasuredMethod } from '../recorder.ts'

/** How many methods a recorder tells apart before the rest are `other`. A service has tens; 1000 hold the largest mesh. */
export const MAX_METHODS = 1000

/**
 * What a recorder keeps per method. Bounded, because a client can be made to call paths without end (a proxy does), and each
 * method is dozens of series: what comes after the last free place is kept together as `other`.
 */
export class MethodTable<T> {
  readonly #entries = new Map<string, T>()
  readonly #maxMethods: number
  readonly #perTarget: boolean
  readonly #create: (method: MeasuredMethod) => T
  #full = false

  /** @param perTarget whether the same method of two targets is two entries */
  constructor(maxMethods: number, perTarget: boolean, create: (method: MeasuredMethod) => T) {
    this.#maxMethods = maxMethods
    this.#perTarget = perTarget
    this.#create = create
  }

  get(method: MeasuredMethod): T {
    const key = this.#keyOf(method)
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    if (method.path === 'other') return this.#add(key, method)
    if (this.#entries.size >= this.#maxMethods) {
      this.#warnOnce(method)
      return this.get({ ...method, path: 'other', service: 'other', name: 'other', target: undefined })
    }
    return this.#add(key, method)
  }

  values(): Iterable<T> {
    return this.#entries.values()
  }

  clear(): void {
    this.#entries.clear()
  }

  #keyOf({ side, per, type, path, target }: MeasuredMethod): string {
    return `${side} ${per} ${type} ${path} ${this.#perTarget ? (target ?? '') : ''}`
  }

  #add(key: string, method: MeasuredMethod): T {
    const entry = this.#create(method)
    this.#entries.set(key, entry)
    return entry
  }

  #warnOnce(method: MeasuredMethod): void {
    if (this.#full) return
    this.#full = true
    process.emitWarning(
      `metrics: ${method.path} is counted as "other", like every method after the first ${this.#maxMethods}. ` +
        'If you have that many, raise the option "maxMethods" of the recorder.',
      { code: 'GRPC_STACK_METRICS' },
    )
  }
}
