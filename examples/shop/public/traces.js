import { byId, h, setClass } from './dom.js'
import { clock, ms, shortPath } from './format.js'
import { createPause } from './pause.js'
import { titles } from './places.js'
import { store } from './store.js'
import { describe, isAttempt, treeOf } from './trace-tree.js'

const SHOWN = 9

/** The latest traces, and one of them as a waterfall. */
export function createTraces(showLog) {
  const list = byId('trace-list')
  const waterfall = byId('waterfall')
  const onlyFailed = byId('only-failed')
  const pause = createPause(byId('pause-traces'), list, () => update())
  let picked
  onlyFailed.addEventListener('change', () => update())

  function pick(id) {
    picked = id
    for (const button of list.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(button.dataset.id === id))
    }
    drawWaterfall(waterfall, store.traces.get(id), showLog)
  }

  function update() {
    if (pause.paused) return
    const traces = [...store.traces.values()]
      .map(describe)
      .filter((trace) => trace.complete && trace.worthShowing)
      .filter(({ failed, retries }) => !onlyFailed.checked || failed || retries > 0)
      .sort((a, b) => b.startMs - a.startMs)
      .slice(0, SHOWN)
    list.replaceChildren(...(traces.length > 0 ? traces.map(item) : [h('li', { class: 'none' }, 'None yet.')]))
    if (!store.traces.has(picked)) picked = undefined
    // The first to be shown is a whole order, if there is one.
    if (picked === undefined && traces.length > 0) pick((traces.find(({ spans }) => spans.length > 6) ?? traces[0]).id)
  }

  function item({ id, root, startMs, durationMs, failed, retries, spans }) {
    const button = h(
      'button',
      { type: 'button', 'data-id': id, 'aria-pressed': String(id === picked), onclick: () => pick(id) },
      h('span', { class: failed ? 'code bad' : 'code ok' }, root.code ?? '–'),
      h('span', { class: 'name' }, shortPath(root.name)),
      h('span', { class: 'number' }, ms(durationMs)),
      h('small', {}, `${clock(startMs)} · ${spans.length} spans${retries > 0 ? ` · retried ${retries}×` : ''}`),
    )
    return h('li', {}, button)
  }

  return { update }
}

function drawWaterfall(container, trace, showLog) {
  const { root, spans, startMs, durationMs, id } = describe(trace)
  const requestId = root.requestId
  const rows = treeOf(spans).map(({ span, depth }) => {
    const bar = h('span', { class: `bar ${span.place}` })
    bar.style.left = `${(100 * (span.startMs - startMs)) / (durationMs || 1)}%`
    bar.style.width = `max(2px, ${(100 * span.durationMs) / (durationMs || 1)}%)`
    setClass(bar, 'client', span.side === 'client')
    const name = h(
      'span',
      { class: 'name' },
      h('span', { class: `place ${span.place}` }, titles[span.place]),
      ` ${span.side === 'client' ? '→ ' : ''}${isAttempt(span.name) ? 'attempt' : shortPath(span.name)}`,
    )
    name.style.paddingLeft = `${depth * 10}px`
    const said = h(
      'span',
      { class: span.code === 'OK' ? 'said' : 'said bad' },
      `${ms(span.durationMs)}${span.code === 'OK' ? '' : ` ${span.code ?? ''}`}`,
    )
    return h('li', {}, name, h('span', { class: 'track' }, bar), said)
  })
  container.replaceChildren(
    h(
      'p',
      { class: 'about' },
      h('b', {}, shortPath(root.name)),
      ` ${ms(durationMs)} · trace `,
      h('code', {}, id.slice(0, 12)),
      ' · request ',
      h('button', { type: 'button', class: 'link', onclick: () => showLog(requestId) }, requestId ?? '–'),
    ),
    h('ol', {}, ...rows),
  )
}
