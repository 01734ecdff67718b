import { byId, h, setClass, setText } from './dom.js'
import { count, ms, rate, share } from './format.js'
import { places, titles } from './places.js'
import { latest } from './store.js'

const types = { unary: 'unary', client_stream: 'client stream', server_stream: 'server stream', bidi_stream: 'bidi' }

const columns = [
  { title: 'Calls/s', of: ({ perSecond }) => rate(perSecond) },
  {
    title: 'Errors',
    of: ({ perSecond, errorsPerSecond }) => share(errorsPerSecond, perSecond),
    bad: ({ errorsPerSecond }) => errorsPerSecond > 0,
  },
  { title: 'p50', of: ({ perSecond, p50Ms }) => (perSecond > 0 ? ms(p50Ms) : '–') },
  { title: 'p95', of: ({ perSecond, p95Ms }) => (perSecond > 0 ? ms(p95Ms) : '–') },
  { title: 'p99', of: ({ perSecond, p99Ms }) => (perSecond > 0 ? ms(p99Ms) : '–') },
  { title: 'In flight', of: ({ inFlight }) => String(inFlight) },
  { title: 'Total', of: ({ total }) => count(sum(total)) },
  { title: 'Ended with', of: ({ total }) => endings(total), wide: true },
]

const sum = (total) => Object.values(total).reduce((all, n) => all + n, 0)
const endings = (total) =>
  Object.entries(total)
    .sort(([, a], [, b]) => b - a)
    .map(([code, n]) => `${code} ${count(n)}`)
    .join(' · ')

export const keyOf = ({ place, side, path }) => `${place} ${side} ${path}`

/** What is worth a row: methods as their service sees them, those of the storefront also as customers do. */
export function methodsOf(frame) {
  // In the order of a request.
  const order = (one) => `${places.indexOf(one.place)} ${one.path}`
  return frame.methods
    .filter(({ place, side, path }) =>
      place === 'outside'
        ? path.startsWith('/shop.storefront')
        : side === 'server' && !path.startsWith('/shop.operations'),
    )
    .filter(({ total, inFlight }) => sum(total) + inFlight > 0)
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

export function createMethods() {
  const body = h('tbody')
  const titlesOf = columns.map(({ title, wide }) => h('th', { scope: 'col', class: wide ? '' : 'number' }, title))
  byId('methods').append(
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Where'), h('th', { scope: 'col' }, 'Method'), ...titlesOf)),
    body,
  )
  const rows = new Map()

  function rowOf(method) {
    const cells = columns.map(({ wide }) => h('td', { class: wide ? 'wide' : 'number' }))
    const name = h(
      'td',
      {},
      h('b', {}, method.path.split('/').at(-1)),
      ' ',
      h('small', {}, types[method.type] ?? method.type),
    )
    const where = h('td', {}, h('span', { class: `place ${method.place}` }, titles[method.place]))
    return { row: h('tr', {}, where, name, ...cells), cells }
  }

  return {
    update() {
      const frame = latest()
      if (!frame) return
      const methods = methodsOf(frame)
      const known = rows.size
      for (const method of methods) if (!rows.has(keyOf(method))) rows.set(keyOf(method), rowOf(method))
      if (rows.size > known) body.replaceChildren(...methods.map((method) => rows.get(keyOf(method)).row))
      for (const method of methods) {
        const { cells } = rows.get(keyOf(method))
        for (const [i, { of, bad }] of columns.entries()) {
          setText(cells[i], of(method))
          if (bad) setClass(cells[i], 'bad', bad(method))
        }
      }
    },
  }
}
