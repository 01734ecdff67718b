import { EventEmitter } from 'node:events'
import type { Fact, LogFact, Place, Report, SpanFact } from './facts.ts'

export type Log = LogFact & { readonly place: Place }
export type Span = SpanFact & { readonly place: Place }

const KEPT = 5000

/** Where everything the processes tell about themselves comes together. Keeps the latest, tells listeners at once. */
export class Observatory extends EventEmitter<{ log: [Log]; span: [Span] }> {
  readonly #logs: Log[] = []
  readonly #spans: Span[] = []

  /** The ear for one place. */
  at(place: Place): Report {
    return (fact) => this.#hear(place, fact)
  }

  get logs(): readonly Log[] {
    return this.#logs
  }

  get spans(): readonly Span[] {
    return this.#spans
  }

  #hear(place: Place, fact: Fact): void {
    if (fact.type === 'log') {
      const log = { ...fact.log, place }
      keep(this.#logs, log)
      this.emit('log', log)
    } else {
      const span = { ...fact.span, place }
      keep(this.#spans, span)
      this.emit('span', span)
    }
  }
}

/** Forgets in batches: a shift for each addition would move the whole list each time. */
function keep<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > 2 * KEPT) list.splice(0, list.length - KEPT)
}
