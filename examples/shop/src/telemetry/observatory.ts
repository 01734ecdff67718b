import { EventEmitter } from 'node:events'
import type { EventFact, Fact, LogFact, Place, PulseFact, Report, SpanFact } from './facts.ts'

export type Span = SpanFact & { readonly place: Place }
export type Log = LogFact & { readonly place: Place }
export type Event = EventFact & { readonly place: Place }
export type Pulse = PulseFact & { readonly place: Place }

interface Told {
  span: [Span]
  log: [Log]
  event: [Event]
  pulse: [Pulse]
}

const KEPT = 5000

/** Where everything the processes tell about themselves comes together. Keeps the latest, tells listeners at once. */
export class Observatory extends EventEmitter<Told> {
  readonly spans: Span[] = []
  readonly logs: Log[] = []
  readonly events: Event[] = []
  /** The last pulse of each place. */
  readonly pulses: Map<Place, Pulse> = new Map()

  /** The ear for one place. */
  at(place: Place): Report {
    return (fact) => this.#hear(place, fact)
  }

  #hear(place: Place, fact: Fact): void {
    if (fact.type === 'span') {
      const span = { ...fact.span, place }
      keep(this.spans, span)
      this.emit('span', span)
    } else if (fact.type === 'log') {
      const log = { ...fact.log, place }
      keep(this.logs, log)
      this.emit('log', log)
    } else if (fact.type === 'event') {
      const event = { ...fact.event, place }
      keep(this.events, event)
      this.emit('event', event)
    } else {
      const pulse = { ...fact.pulse, place }
      this.pulses.set(place, pulse)
      this.emit('pulse', pulse)
    }
  }
}

/** Forgets in batches: a shift for each addition would move the whole list each time. */
function keep<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > 2 * KEPT) list.splice(0, list.length - KEPT)
}
