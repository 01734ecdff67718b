/** What the page knows. Parts read it; only this file changes it. */
export const store = {
  troubles: [],
  active: new Set(),
  steps: [],
  story: {},
  frames: [],
  traces: new Map(),
  logs: [],
  events: [],
}

const FRAMES = 120
const TRACES = 300
const LOGS = 2000
const EVENTS = 500

export function begin(hello) {
  store.troubles = hello.troubles
  store.active = new Set(hello.active)
  store.steps = hello.steps
  store.story = hello.story
  store.frames = hello.frames
  store.traces.clear()
  addSpans(hello.spans)
  store.logs = hello.logs
  store.events = hello.events
}

export function advance({ frame, spans, logs, events }) {
  add(store.frames, [frame], FRAMES)
  addSpans(spans)
  add(store.logs, logs, LOGS)
  add(store.events, events, EVENTS)
}

export const latest = () => store.frames.at(-1)

/** What a process says about one of its interceptors; undefined while it says nothing. */
export const gauge = (frame, place, name) => frame?.gauges[place]?.[name]

export function figures(frame, place, side, path) {
  return frame.methods.find((one) => one.place === place && one.side === side && one.path === path)
}

function add(list, items, most) {
  list.push(...items)
  if (list.length > most) list.splice(0, list.length - most)
}

function addSpans(spans) {
  for (const span of spans) {
    let trace = store.traces.get(span.traceId)
    if (trace === undefined) {
      trace = { id: span.traceId, spans: [] }
      store.traces.set(span.traceId, trace)
    }
    trace.spans.push(span)
  }
  while (store.traces.size > TRACES) store.traces.delete(store.traces.keys().next().value)
}
