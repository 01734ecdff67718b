import { byId, h, setText } from './dom.js'
import { count, megabytes, rate } from './format.js'
import { createSparkline } from './sparkline.js'
import { figures, gauge, latest, store } from './store.js'

/** What the interceptors that decide something say about themselves. */
export function createStates() {
  const cards = [circuit(), limiter(), retries(), stream()]
  return {
    update() {
      const frame = latest()
      if (frame) for (const card of cards) card(frame)
    },
  }
}

function circuit() {
  const names = ['closed', 'open', 'half-open']
  const states = names.map((name) => h('li', { 'data-name': name }, name))
  const strip = h('div', { class: 'strip', role: 'img' })
  const facts = h('p', { class: 'facts' })
  byId('circuit').append(
    h('ol', { class: 'circuit-states' }, ...states),
    strip,
    h('p', { class: 'axis' }, 'the last minute'),
    facts,
  )
  return (frame) => {
    const now = gauge(frame, 'orders', 'circuit')
    for (const item of states) {
      if (item.dataset.name === now?.state) item.setAttribute('aria-current', 'true')
      else item.removeAttribute('aria-current')
    }
    drawStrip(strip)
    const refused = store.events.filter(
      ({ from, name, at }) => from === 'circuitBreaker' && name === 'refusal' && at > frame.at - 60_000,
    ).length
    const window = now?.calls === undefined ? 'no calls yet' : `${now.failures} of ${now.calls} calls failed in 5 s`
    setText(facts, `${window}\n${count(refused)} refused in a minute`)
  }
}

/** The states of the last minute as coloured pieces. */
function drawStrip(strip) {
  const pieces = []
  for (const frame of store.frames) {
    const state = gauge(frame, 'orders', 'circuit')?.state ?? 'unknown'
    if (pieces.at(-1)?.state === state) pieces.at(-1).length++
    else pieces.push({ state, length: 1 })
  }
  const said = pieces.map(({ state }) => state).join(', ')
  if (strip.dataset.said !== said) {
    strip.dataset.said = said
    strip.setAttribute('aria-label', `States in the last minute: ${said}`)
    strip.replaceChildren(...pieces.map(({ state }) => h('span', { 'data-state': state })))
  }
  for (const [i, { length }] of pieces.entries()) strip.children[i].style.flexGrow = String(length)
}

function limiter() {
  const admitted = h('b', {})
  const refused = h('b', {})
  const bar = h('div', { class: 'bar', role: 'img' }, h('span', { class: 'ok' }), h('span', { class: 'bad' }))
  const list = h('ul', { class: 'limited' })
  byId('limiter').append(
    h('p', { class: 'figures' }, h('span', {}, admitted, ' admitted/s'), h('span', {}, refused, ' refused/s')),
    bar,
    list,
  )
  return (frame) => {
    const before = store.frames.at(-9) ?? store.frames[0]
    const perSecond = (name) => {
      const [now, then] = [
        gauge(frame, 'inventory', 'limiter')?.[name] ?? 0,
        gauge(before, 'inventory', 'limiter')?.[name] ?? 0,
      ]
      return Math.max(0, ((now - then) * 1000) / Math.max(1, frame.at - before.at))
    }
    const [in_, out] = [perSecond('admitted'), perSecond('refused')]
    setText(admitted, rate(in_))
    setText(refused, rate(out))
    bar.children[0].style.flexGrow = String(in_ || 0.001)
    bar.children[1].style.flexGrow = String(out)
    bar.setAttribute('aria-label', `${rate(in_)} admitted and ${rate(out)} refused per second`)
    const whom = new Map()
    for (const { from, at, detail } of store.events) {
      if (from === 'rateLimit' && at > frame.at - 5000) {
        const who = String(detail.key).replace('subject=', '')
        whom.set(who, (whom.get(who) ?? 0) + 1)
      }
    }
    const lines = [...whom].map(([key, n]) => `${key}: ${rate(n / 5)} refused/s`)
    const where = gauge(frame, 'inventory', 'limiter')?.store
    const text = lines.length > 0 ? lines : [`no customer is over the limit`, `counted in ${where ?? '…'}`]
    if (list.dataset.text !== text.join()) {
      list.dataset.text = text.join()
      list.replaceChildren(...text.map((line) => h('li', {}, line)))
    }
  }
}

function retries() {
  const now = h('b', {})
  const left = h('b', {})
  const chart = h('div', { class: 'sparkline', role: 'img' })
  const facts = h('p', { class: 'facts' })
  byId('retries').append(
    h('p', { class: 'figures' }, h('span', {}, now, ' retries/s'), h('span', {}, left, ' left in the budget')),
    chart,
    facts,
  )
  const sparkline = createSparkline(chart, '--warn')
  return (frame) => {
    const all = store.events.filter(({ from }) => from === 'retry')
    const perSecond = (end) => all.filter(({ at }) => at > end - 2000 && at <= end).length / 2
    setText(now, rate(perSecond(frame.at)))
    const budget = gauge(frame, 'orders', 'retry budget')
    setText(left, budget === undefined ? '–' : String(Math.floor(budget)))
    const points = store.frames.map(({ at }) => [at / 1000, perSecond(at)])
    sparkline(points)
    chart.setAttribute(
      'aria-label',
      `Retries per second in the last minute, at most ${Math.max(0, ...points.map(([, y]) => y))}`,
    )
    setText(
      facts,
      budget !== undefined && budget < 1
        ? 'The budget is spent: calls that fail are not made again until others have paid for it.'
        : 'Each retry takes 1 from the budget. Each call adds a half, each second 5.',
    )
  }
}

const LIST = '/shop.inventory.Inventory/List'
const BROWSE = '/shop.storefront.Storefront/Browse'

function stream() {
  const sent = h('b', {})
  const read = h('b', {})
  const ahead = h('b', {})
  const facts = h('p', { class: 'facts' })
  byId('stream').append(
    h(
      'dl',
      { class: 'flow' },
      h('dt', {}, 'sent'),
      h('dd', {}, sent),
      h('dt', {}, 'read'),
      h('dd', {}, read),
      h('dt', {}, 'on the way'),
      h('dd', {}, ahead),
    ),
    facts,
  )
  return (frame) => {
    const list = figures(frame, 'inventory', 'server', LIST)
    const browse = figures(frame, 'outside', 'client', BROWSE)
    // Of the streams that are open: what a reader who left did not read is not on the way to anybody.
    const open = browse?.inFlight ?? 0
    const out = open > 0 ? (list?.responsesInFlight ?? 0) : 0
    // The two processes tell of moments up to a quarter of a second apart.
    const back = Math.min(out, browse?.responsesInFlight ?? 0)
    setText(sent, count(out))
    setText(read, count(back))
    setText(ahead, count(out - back))
    const { OK: whole = 0, CANCELLED: left = 0 } = browse?.total ?? {}
    const memory = frame.services.find(({ name }) => name === 'inventory')?.memoryBytes ?? 0
    setText(
      facts,
      `${open} catalogues being read\n${count(whole)} read before, ${count(left)} left early\ninventory holds ${megabytes(memory)}`,
    )
  }
}
