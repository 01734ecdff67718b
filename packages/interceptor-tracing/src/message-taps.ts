import type { Call } from '@grpc-stack/grpc-core'
import type { Link, Span } from '@opentelemetry/api'
import type { Containment } from './containment.ts'

/** gRFC A72: an event per message, numbered from 0 in each direction. */
export function recordMessageEvents(span: Span, call: Call, containment: Containment): void {
  const counter = (name: string) => {
    let sequenceNumber = 0
    return (): void => {
      try {
        span.addEvent(name, { 'sequence-number': sequenceNumber++ })
      } catch (error) {
        containment.failed(error, 'recording a message event', call)
      }
    }
  }
  const [request, response] =
    call.side === 'client' ? ['Outbound message', 'Inbound message'] : ['Inbound message', 'Outbound message']
  call.onRequest(counter(request as string))
  call.onResponse(counter(response as string))
}

/** Adds the links of each message this side receives. */
export function linkMessages(
  span: Span,
  call: Call,
  linksOf: (message: unknown, call: Call) => Link | readonly Link[] | undefined,
  containment: Containment,
): void {
  const tap = (message: unknown): void => {
    try {
      const links = linksOf(message, call)
      if (links === undefined) return
      if (Array.isArray(links)) span.addLinks(links)
      else span.addLink(links as Link)
    } catch (error) {
      containment.failed(error, 'option "messageLinks"', call)
    }
  }
  if (call.side === 'client') call.onResponse(tap)
  else call.onRequest(tap)
}
