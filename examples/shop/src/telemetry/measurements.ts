import { type ServiceName, serviceNames } from '../services/service.ts'
import type { Place } from './facts.ts'
import type { Observatory, Pulse } from './observatory.ts'
import type { MethodWindow } from './window-recorder.ts'

/** One side of one method in one place, over the last seconds and since the start. */
export interface MethodFigures {
  readonly place: Place
  readonly side: 'client' | 'server'
  readonly path: string
  readonly type: string
  /** Where the calls of a client go. */
  readonly to: Place | undefined
  readonly perSecond: number
  readonly errorsPerSecond: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly inFlight: number
  /** Messages, since the process began. */
  readonly messagesSent: number
  readonly messagesReceived: number
  /** Responses so far in the RPCs in progress. */
  readonly responsesInFlight: number
  /** Since the start, by the name of the code. */
  readonly total: Readonly<Record<string, number>>
}

const SPAN_MS = 4000

/** Adds the pulses of all places up. */
export class Measurements {
  readonly #recent: Pulse[] = []
  readonly #totals = new Map<string, Record<string, number>>()

  constructor(observatory: Observatory) {
    observatory.on('pulse', (pulse) => {
      this.#recent.push(pulse)
      for (const window of pulse.methods) this.#addToTotal(pulse.place, window)
    })
  }

  /** How things are at this moment, epoch milliseconds. */
  figures(now: number): MethodFigures[] {
    while (this.#recent[0] !== undefined && this.#recent[0].at < now - SPAN_MS) this.#recent.shift()
    const windows = new Map<string, { place: Place; all: MethodWindow[] }>()
    for (const { place, methods } of this.#recent) {
      for (const window of methods) {
        const key = keyOf(place, window)
        const entry = windows.get(key) ?? { place, all: [] }
        entry.all.push(window)
        windows.set(key, entry)
      }
    }
    return [...windows].map(([key, { place, all }]) => figuresOf(place, all, this.#totals.get(key) ?? {}))
  }

  /** How many RPCs ended with which code since the start, in all places. */
  endings(side: 'client' | 'server'): Record<string, number> {
    const all: Record<string, number> = {}
    for (const [key, total] of this.#totals) {
      if (key.split(' ')[1] === side) addTo(all, total)
    }
    return all
  }

  #addToTotal(place: Place, window: MethodWindow): void {
    const key = keyOf(place, window)
    const total = this.#totals.get(key) ?? {}
    addTo(total, window.ended)
    this.#totals.set(key, total)
  }
}

function addTo(total: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [code, count] of Object.entries(more)) total[code] = (total[code] ?? 0) + count
}

const keyOf = (place: Place, { side, path }: MethodWindow): string => `${place} ${side} ${path}`

function figuresOf(place: Place, windows: readonly MethodWindow[], total: Record<string, number>): MethodFigures {
  const { side, path, type, inFlight, messagesSent, messagesReceived, responsesInFlight } = windows.at(-1)!
  const latencies = windows.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b)
  const percentile = (share: number): number => latencies[Math.ceil(share * latencies.length) - 1] ?? 0
  const ended = windows.flatMap((window) => Object.entries(window.ended))
  const sum = (entries: [string, number][]): number => entries.reduce((all, [, count]) => all + count, 0)
  const perSecond = (count: number): number => (count * 1000) / SPAN_MS
  return {
    place,
    side,
    path,
    type,
    to: side === 'client' ? ownerOf(path) : undefined,
    perSecond: perSecond(sum(ended)),
    errorsPerSecond: perSecond(sum(ended.filter(([code]) => code !== 'OK'))),
    p50Ms: percentile(0.5),
    p95Ms: percentile(0.95),
    p99Ms: percentile(0.99),
    inFlight,
    messagesSent,
    messagesReceived,
    responsesInFlight,
    total,
  }
}

/** `/shop.orders.Orders/Place` is the business of orders. */
export function ownerOf(path: string): ServiceName | undefined {
  return serviceNames.find((name) => path.startsWith(`/shop.${name}.`))
}
