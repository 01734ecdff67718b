import { createChip, scopeOf } from './chips.js'
import { byId, h, setClass, setText, svg } from './dom.js'
import { megabytes, ms, rate } from './format.js'
import { createDots } from './map-dots.js'
import { connections, places, titles } from './places.js'
import { gauge, latest } from './store.js'

const wide = {
  box: [880, 320],
  size: [160, 78],
  at: { outside: [4, 121], storefront: [228, 121], orders: [444, 8], inventory: [716, 236], payments: [716, 8] },
}
const tall = {
  box: [360, 560],
  size: [148, 72],
  at: { outside: [106, 10], storefront: [106, 150], orders: [14, 300], inventory: [200, 430], payments: [14, 450] },
}

/** Where a connection bends, by layout: in the middle, and away from what else is there. */
const bends = {
  'outside inventory': { wide: [330, 345], tall: [346, 130] },
  'storefront inventory': { wide: [520, 268], tall: [292, 280] },
}

/** The services, the connections between them, and a dot for every call. */
export function createMap() {
  const container = byId('map')
  const narrow = matchMedia('(max-width: 640px)')
  let drawn
  let picked = 'orders payments'
  const draw = () => {
    drawn?.dots.stop()
    drawn = drawMap(container, narrow.matches ? 'tall' : 'wide', pick)
    update({})
  }
  const pick = (key) => {
    picked = key
    update({})
  }
  narrow.addEventListener('change', draw)

  function update(news) {
    if (drawn === undefined) return
    const frame = latest()
    if (frame === undefined) return
    for (const place of places) showPlace(drawn.nodes.get(place), frame, place, picked)
    for (const [from, to] of connections) showConnection(drawn.edges.get(`${from} ${to}`), frame, from, to, picked)
    drawn.dots.add(news?.spans ?? [])
    showStack(frame, picked)
  }

  draw()
  return { update }
}

function drawMap(container, layoutName, pick) {
  const layout = layoutName === 'wide' ? wide : tall
  const [width, height] = layout.box
  const root = svg('svg', {
    viewBox: `0 0 ${width} ${height}`,
    class: layoutName,
    role: 'group',
    'aria-label': 'Services and the calls between them',
  })
  const edges = new Map()
  for (const [from, to] of connections) {
    const edge = drawEdge(layout, layoutName, from, to)
    edge.group.addEventListener('click', () => pick(`${from} ${to}`))
    onKey(edge.group, () => pick(`${from} ${to}`))
    edges.set(`${from} ${to}`, edge)
    root.append(edge.group)
  }
  const dotLayer = svg('g', { 'aria-hidden': 'true' })
  root.append(dotLayer)
  const nodes = new Map()
  for (const place of places) {
    const node = drawNode(layout, place)
    node.group.addEventListener('click', () => pick(place))
    onKey(node.group, () => pick(place))
    nodes.set(place, node)
    root.append(node.group)
  }
  // Labels stand above the dots.
  for (const { label } of edges.values()) root.append(label)
  container.replaceChildren(root)
  return { nodes, edges, dots: createDots(dotLayer, edges) }
}

function onKey(group, act) {
  group.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return
    event.preventDefault()
    act()
  })
}

function drawNode({ at, size }, place) {
  const [x, y] = at[place]
  const [width, height] = size
  const lines = [28, 47, 64].map((line) => svg('text', { x: 16, y: line }))
  lines[0].classList.add('name')
  const state = svg('circle', { cx: width - 18, cy: 22, r: 5, class: 'state' })
  const group = svg(
    'g',
    { class: `node ${place}`, transform: `translate(${x} ${y})`, tabindex: '0', role: 'button' },
    svg('rect', { width, height, rx: 12, class: 'body' }),
    svg('rect', { width: 5, height: height - 24, x: 0, y: 12, rx: 2.5, class: 'stripe' }),
    state,
    ...lines,
  )
  setText(lines[0], titles[place])
  return { group, lines }
}

function drawEdge(layout, layoutName, from, to) {
  const [width, height] = layout.size
  const center = (place) => {
    const [x, y] = layout.at[place]
    return [x + width / 2, y + height / 2]
  }
  const [start, end] = [center(from), center(to)]
  const middle = bends[`${from} ${to}`]?.[layoutName] ?? [(start[0] + end[0]) / 2, (start[1] + end[1]) / 2]
  const d = `M${start} Q${middle} ${end}`
  const path = svg('path', { d, class: 'line' })
  const text = svg('text', { 'text-anchor': 'middle', 'dominant-baseline': 'central' })
  const pill = svg('rect', { rx: 9, height: 18, y: -9 })
  // Half way along the curve.
  const half = [0, 1].map((i) => (start[i] + 2 * middle[i] + end[i]) / 4)
  const label = svg('g', { class: 'label', transform: `translate(${half})`, 'aria-hidden': 'true' }, pill, text)
  const group = svg('g', { class: 'edge', tabindex: '0', role: 'button' }, svg('path', { d, class: 'target' }), path)
  return { group, path, label, pill, text }
}

function showPlace({ group, lines }, frame, place, picked) {
  const outside = place === 'outside'
  const own = frame.methods.filter((one) => one.place === place && one.side === (outside ? 'client' : 'server'))
  const calls = own.reduce((sum, { perSecond }) => sum + perSecond, 0)
  const errors = own.reduce((sum, { errorsPerSecond }) => sum + errorsPerSecond, 0)
  const slowest = Math.max(0, ...own.filter(({ perSecond }) => perSecond > 0).map(({ p95Ms }) => p95Ms))
  const service = frame.services.find(({ name }) => name === place)
  const up = service?.up ?? true
  const state = !up ? 'bad' : errors / (calls || 1) > 0.02 ? 'warn' : 'ok'
  group.dataset.state = state
  setClass(group, 'picked', picked === place)
  // The spaces keep the lines apart where they are read as one; SVG shows none.
  setText(lines[1], up ? ` ${rate(calls)}/s · p95 ${ms(slowest)}` : ' down')
  setText(
    lines[2],
    outside ? ` ${frame.logins} tokens issued` : up ? ` pid ${service.pid} · ${megabytes(service.memoryBytes)}` : '',
  )
  group.setAttribute(
    'aria-label',
    lines
      .map(({ textContent }) => textContent)
      .join('')
      .trim(),
  )
}

function showConnection({ group, path, label, pill, text }, frame, from, to, picked) {
  const own = frame.methods.filter((one) => one.place === from && one.side === 'client' && one.to === to)
  const calls = own.reduce((sum, { perSecond }) => sum + perSecond, 0)
  const errors = own.reduce((sum, { errorsPerSecond }) => sum + errorsPerSecond, 0)
  const circuit = to === 'payments' ? gauge(frame, 'orders', 'circuit')?.state : undefined
  const open = circuit !== undefined && circuit !== 'closed'
  group.dataset.state = open || errors / (calls || 1) > 0.02 ? 'warn' : 'ok'
  label.dataset.state = circuit === 'open' ? 'bad' : group.dataset.state
  setClass(group, 'picked', picked === `${from} ${to}`)
  setClass(group, 'idle', calls === 0)
  path.style.strokeWidth = String(1.5 + Math.min(4, Math.sqrt(calls) / 2))
  // The boxes leave room for this much.
  const words = open ? (circuit === 'open' ? 'circuit open' : circuit) : calls > 0 ? `${rate(calls)}/s` : ''
  setText(text, words)
  const width = words.length * 6.6 + 16
  pill.setAttribute('width', width)
  pill.setAttribute('x', -width / 2)
  setClass(label, 'empty', words === '')
  const said = open ? `circuit ${circuit}` : words || 'no calls'
  group.setAttribute('aria-label', `${titles[from]} to ${titles[to]}: ${said}`)
}

let stackShown = ''
let chips = []

/** The interceptors of what was picked, outermost first, as the process itself names them. */
function showStack(frame, picked) {
  const [from, to] = picked.split(' ')
  const stacks = gauge(frame, from, 'stacks') ?? {}
  const entries = to === undefined ? Object.entries(stacks).filter(([name]) => !name.startsWith('→')) : []
  if (to !== undefined) entries.push([`${titles[from]} → ${titles[to]}`, stacks[`→ ${to}`] ?? []])
  const shown = JSON.stringify(entries)
  if (shown !== stackShown) {
    stackShown = shown
    chips = []
    byId('stack').replaceChildren(...entries.map(([name, interceptors]) => drawStack(name, interceptors)))
  }
  // A method that has a stack of its own is not of that of its service, and none of both of what is left.
  const names = entries.map(([name]) => name)
  const ownerOf = (path) =>
    names.find((name) => name === path) ??
    names.find((name) => path.startsWith(`/${name}/`)) ??
    (names.includes('*') ? '*' : undefined)
  const scopes = new Map(
    names.map((name) => [
      name,
      to === undefined
        ? scopeOf(frame, from, 'server', (path) => ownerOf(path) === name)
        : scopeOf(frame, from, 'client', (path) => path.startsWith(`/shop.${to}.`)),
    ]),
  )
  for (const { chip, of } of chips) chip.update(scopes.get(of))
}

function drawStack(of, interceptors) {
  const drawn = interceptors.map((name) => createChip(name))
  chips.push(...drawn.map((chip) => ({ chip, of })))
  return h(
    'div',
    {},
    h('span', { class: 'of' }, of === '*' ? 'anything else' : of),
    drawn.length > 0
      ? h('ol', { class: 'chips' }, ...drawn.map(({ item }) => item))
      : h('span', { class: 'none' }, 'no interceptors'),
  )
}
