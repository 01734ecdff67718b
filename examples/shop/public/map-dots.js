import { svg } from './dom.js'

const FLIGHT_MS = 700
/** More would be a line, not dots. */
const MOST = 160

/** Sends a dot along a connection for every call a client made. */
export function createDots(layer, edges) {
  const still = matchMedia('(prefers-reduced-motion: reduce)')
  const flying = []
  const idle = []
  let frame

  function add(spans) {
    if (still.matches || document.hidden) return
    const calls = spans.filter(({ side, place, name }) => side === 'client' && edges.has(keyOf(place, name)))
    if (calls.length === 0) return
    // Calls are told of in batches; their dots leave as they were made.
    const first = Math.min(...calls.map(({ startMs }) => startMs))
    const now = performance.now()
    for (const { place, name, startMs, failed } of calls) {
      if (flying.length >= MOST) break
      const { path } = edges.get(keyOf(place, name))
      const dot = idle.pop() ?? svg('circle', { r: 4 })
      dot.setAttribute('class', failed ? 'call failed' : 'call')
      flying.push({
        dot,
        path,
        length: path.getTotalLength(),
        leaves: now + Math.min(500, startMs - first),
        shown: false,
      })
    }
    frame ??= requestAnimationFrame(step)
  }

  function step(now) {
    for (let i = flying.length - 1; i >= 0; i--) {
      const one = flying[i]
      const way = (now - one.leaves) / FLIGHT_MS
      if (way < 0) continue
      if (way >= 1) {
        one.dot.remove()
        idle.push(one.dot)
        flying.splice(i, 1)
        continue
      }
      const { x, y } = one.path.getPointAtLength(one.length * way)
      one.dot.setAttribute('cx', x)
      one.dot.setAttribute('cy', y)
      if (!one.shown) layer.append(one.dot)
      one.shown = true
    }
    frame = flying.length > 0 ? requestAnimationFrame(step) : undefined
  }

  return {
    add,
    stop() {
      cancelAnimationFrame(frame)
      layer.replaceChildren()
    },
  }
}

/** `shop.orders.Orders/Place`, called by the storefront, flies from storefront to orders. */
const keyOf = (place, name) => `${place} ${name.split('.')[1]}`
