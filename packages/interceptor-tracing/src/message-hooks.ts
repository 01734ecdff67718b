import type { Call } from '@grpc-stack/grpc-core'
import { type Containment, isThenable, type Observation } from '@grpc-stack/grpc-core/authoring'
import type { Link, Span } from '@opentelemetry/api'
import type { Settings } from './options.ts'

type MessageHook = NonNullable<Observation['request']>

/** What a span records of messages as they pass, each way; undefined where nothing is. */
export interface MessageHooks {
  readonly request: MessageHook | undefined
  readonly response: MessageHook | undefined
}

/** Events and links of the messages of a call. */
export function messageHooks(
  span: Span,
  call: Call,
  { messageEvents, messageLinks }: Settings,
  contained: Containment,
): MessageHooks {
  const outbound = messageEvents ? eventAdder(span, 'Outbound message') : undefined
  const inboundEvent = messageEvents ? eventAdder(span, 'Inbound message') : undefined
  const link = messageLinks && linkAdder(span, call, messageLinks, contained)
  const inbound = both(inboundEvent, link)
  return call.side === 'client' ? { request: outbound, response: inbound } : { request: inbound, response: outbound }
}

/** gRFC A72: an event per message, numbered from 0 in each direction. */
function eventAdder(span: Span, name: string): MessageHook {
  return (_message, n) => void span.addEvent(name, { 'sequence-number': n - 1 })
}

function linkAdder(
  span: Span,
  call: Call,
  linksOf: NonNullable<Settings['messageLinks']>,
  contained: Containment,
): MessageHook {
  return (message) => {
    const links = contained.run('messageLinks', () => linksOf(message, call), call)
    if (links === undefined) return
    if (isThenable(links)) throw new TypeError('messageLinks returned a promise; it must be synchronous')
    if (Array.isArray(links)) span.addLinks(links)
    else span.addLink(links as Link)
  }
}

function both(first: MessageHook | undefined, second: MessageHook | undefined): MessageHook | undefined {
  if (first === undefined || second === undefined) return first ?? second
  return (message, n, record) => {
    first(message, n, record)
    second(message, n, record)
  }
}
