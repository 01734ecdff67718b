import type { ReplayLimits } from '@grpc-stack/grpc-core'
import type { Settings } from './retry-settings.ts'
import type { Allowance } from './token-bucket.ts'

/** What the calls of one channel share. */
export interface ChannelBudget {
  readonly budget: Allowance | undefined
  readonly limits: ReplayLimits
}

const MAX_TARGETS = 1000

/** One budget per channel target, unless the options give one for all. */
export class ChannelBudgets {
  readonly #settings: Settings
  readonly #shared: ChannelBudget | undefined
  readonly #byTarget = new Map<string | undefined, ChannelBudget>()

  constructor(settings: Settings) {
    this.#settings = settings
    if (settings.newBudget === undefined) this.#shared = this.#with(settings.budget)
  }

  of(target: string | undefined): ChannelBudget {
    return this.#shared ?? this.#byTarget.get(target) ?? this.#add(target)
  }

  #add(target: string | undefined): ChannelBudget {
    // An application that makes channels without end must not fill the memory here.
    if (this.#byTarget.size === MAX_TARGETS) this.#byTarget.clear()
    const entry = this.#with(this.#settings.newBudget?.())
    this.#byTarget.set(target, entry)
    return entry
  }

  #with(budget: Allowance | undefined): ChannelBudget {
    const { maxReplayBytes: maxBytes, maxReplayMessages: maxMessages, commit } = this.#settings
    const pool = budget?.buffer
    return { budget, limits: { maxBytes, maxMessages, commit, ...(pool && { pool }) } }
  }
}
