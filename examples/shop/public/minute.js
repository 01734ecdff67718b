import { createChart } from './charts.js'
import { byId, h } from './dom.js'
import { ms, rate, shortPath } from './format.js'
import { keyOf, methodsOf } from './methods.js'
import { titles } from './places.js'
import { latest, store } from './store.js'

/** Rate and latency of one method in the last minute. */
export function createMinute() {
  const select = byId('minute-of')
  const rateChart = createChart(
    byId('rate-chart'),
    [
      { label: 'calls/s', colour: '--ok', filled: true },
      { label: 'errors/s', colour: '--bad', filled: true },
    ],
    rate,
  )
  const latencyChart = createChart(
    byId('latency-chart'),
    [
      { label: 'p50', colour: '--info' },
      { label: 'p95', colour: '--warn' },
      { label: 'p99', colour: '--bad' },
    ],
    ms,
  )
  let picked = 'outside client /shop.storefront.Storefront/PlaceOrder'
  let offered = ''
  select.addEventListener('change', () => {
    picked = select.value
    update()
  })

  function offer(frame) {
    const methods = methodsOf(frame)
    const keys = methods.map(keyOf).join()
    if (keys === offered) return
    offered = keys
    const option = (method) => {
      const seen = method.place === 'outside' ? ', as customers see it' : ''
      return h('option', { value: keyOf(method) }, `${shortPath(method.path)}${seen || `, in ${titles[method.place]}`}`)
    }
    select.replaceChildren(...methods.map(option))
    select.value = picked
  }

  function update() {
    const frame = latest()
    if (!frame) return
    offer(frame)
    const points = store.frames.map(({ at, methods }) => [at / 1000, methods.find((one) => keyOf(one) === picked)])
    rateChart(points.map(([x, one]) => [x, one?.perSecond ?? null, one?.errorsPerSecond ?? null]))
    const timed = (one, name) => (one?.perSecond > 0 ? one[name] : null)
    latencyChart(points.map(([x, one]) => [x, timed(one, 'p50Ms'), timed(one, 'p95Ms'), timed(one, 'p99Ms')]))
  }

  return { update }
}
