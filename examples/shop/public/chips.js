import { h, setText } from './dom.js'
import { ms, rate } from './format.js'
import { gauge, store } from './store.js'

/**
 * What is known of the calls that a stack stands around: `calls` are the latest log records of them, `events` what the
 * interceptors of the process told in that time, `figures` the methods.
 * @typedef {{ frame: any, place: string, calls: any[], events: any[], figures: any[] }} Scope
 */

const refused = (name, { calls }) => calls.filter(({ fields }) => fields['grpc.refused_by'] === name).length
const told = (name, { events }) => events.filter(({ from }) => from === name)
const ofCalls = (count, { calls }) => `${count} of the last ${calls.length} calls`

/** By the name of the interceptor: its package, if it is of one, what it is for, and what it did for the calls of a scope. */
const interceptors = {
  requestId: {
    from: 'interceptor-logging',
    does: 'Gives a request one id in every service that it reaches.',
    did: ({ calls }) => `${new Set(calls.map(({ fields }) => fields['request.id'])).size} ids in ${calls.length} calls`,
  },
  tracing: {
    from: 'interceptor-tracing',
    does: 'Makes a span of every call, below the span of its caller.',
    did: ({ calls }) => `a span for each of ${calls.length} calls`,
  },
  metrics: {
    from: 'interceptor-metrics',
    does: 'Counts and times calls.',
    did: ({ figures }) => {
      const perSecond = figures.reduce((sum, one) => sum + one.perSecond, 0)
      const slowest = Math.max(0, ...figures.map((one) => one.p95Ms))
      return `${rate(perSecond)} calls a second, 95 of 100 within ${ms(slowest)}`
    },
  },
  logging: {
    from: 'interceptor-logging',
    does: 'Writes one record when a call ends.',
    did: ({ calls }) => `${calls.filter(({ level }) => level !== 'info').length} of ${calls.length} records above info`,
  },
  propagate: {
    from: 'grpc-core',
    does: 'Ends a call with the one that it is made for: no later than its deadline, and when it is cancelled.',
    did: (scope) =>
      `cancelled ${ofCalls(scope.calls.filter(({ fields }) => fields['grpc.code'] === 'CANCELLED').length, scope)}`,
  },
  select: {
    from: 'grpc-core',
    does: 'Puts an interceptor around some methods: here a time limit of five seconds around unary calls.',
  },
  retry: {
    from: 'interceptor-retry',
    does: 'Makes a call again that failed in a way that may pass.',
    did: (scope) => `${told('retry', scope).length} attempts more for ${scope.calls.length} calls`,
  },
  circuitBreaker: {
    from: 'interceptor-circuit',
    does: 'Stops calling a service that fails, and finds out when it is back.',
    did: (scope) =>
      `${gauge(scope.frame, scope.place, 'circuit')?.state ?? 'closed'} now, refused ${ofCalls(refused('circuitBreaker', scope), scope)}`,
  },
  clientAuth: {
    from: 'interceptor-auth',
    does: 'Sends the token of the customer for whom the call is made.',
    did: (scope) => `a token with ${ofCalls(scope.calls.length - refused('clientAuth', scope), scope)}`,
  },
  serverAuth: {
    from: 'interceptor-auth',
    does: 'Lets in callers whose token is valid and who have the role for it.',
    did: (scope) => `refused ${ofCalls(refused('serverAuth', scope), scope)}`,
  },
  rateLimit: {
    from: 'interceptor-ratelimit',
    does: 'Admits 20 reservations a second of each customer.',
    did: (scope) => `refused ${ofCalls(refused('rateLimit', scope), scope)}`,
  },
  rateLimitService: {
    from: 'interceptor-ratelimit',
    does: 'Asks a rate limit service about each reservation of a customer.',
    did: (scope) => `refused ${ofCalls(refused('rateLimitService', scope), scope)}`,
  },
  extAuthz: {
    from: 'interceptor-auth',
    does: 'Asks an authorization service about each call.',
    did: (scope) => `refused ${ofCalls(refused('extAuthz', scope), scope)}`,
  },
  keepCallerToken: { does: 'Of the shop: keeps the token, for the calls that are made for this one.' },
  faults: { does: 'Of the shop: fails and delays calls when a switch of this page says so.' },
}

let tips = 0

/** One interceptor of a stack, with what it did while the pointer or the focus is on it. Returns the element and its update. */
export function createChip(name) {
  const { from, does = 'Of the shop.', did } = interceptors[name] ?? {}
  const id = `tip-${tips++}`
  const code = h('code', {}, name)
  const address = from && `https://www.npmjs.com/package/@grpc-stack/${from}`
  const face = address
    ? h('a', { href: address, target: '_blank', rel: 'noopener', 'aria-describedby': id }, code)
    : h('span', { tabindex: '0', role: 'note', 'aria-label': name, 'aria-describedby': id }, code)
  const now = h('span', { class: 'did' })
  const tip = h(
    'span',
    { class: 'tip', role: 'tooltip', id },
    does,
    now,
    from && h('span', { class: 'from' }, `@grpc-stack/${from}`),
  )
  const item = h('li', {}, face, tip)
  // A tooltip can be sent away without moving the pointer or the focus.
  item.addEventListener('keydown', ({ key }) => key === 'Escape' && tip.classList.add('away'))
  for (const event of ['pointerleave', 'focusout']) item.addEventListener(event, () => tip.classList.remove('away'))
  return {
    item,
    update(scope) {
      if (did !== undefined) setText(now, scope.calls.length === 0 ? 'No calls yet.' : `${capital(did(scope))}.`)
    },
  }
}

/** What is known of the calls from one place to another, or of those that a place answers; `owns` tells by path which. */
export function scopeOf(frame, place, side, owns) {
  const pathOf = ({ fields }) => `/${fields['grpc.service']}/${fields['grpc.method']}`
  const calls = store.logs.filter(
    (log) => log.place === place && log.fields['grpc.component'] === side && owns(pathOf(log)),
  )
  const since = calls[0]?.at ?? 0
  return {
    frame,
    place,
    calls,
    events: store.events.filter(
      ({ place: where, at, detail }) =>
        where === place && at >= since && (detail.method === undefined || owns(detail.method)),
    ),
    figures: frame.methods.filter((one) => one.place === place && one.side === side && owns(one.path)),
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1)
