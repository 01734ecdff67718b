import { byId, setText } from './dom.js'
import { rate, share } from './format.js'
import { createLogs } from './logs.js'
import { createMap } from './map.js'
import { createMethods } from './methods.js'
import { createMinute } from './minute.js'
import { createStates } from './states.js'
import { advance, begin, latest, store } from './store.js'
import { createStory } from './story.js'
import { createTraces } from './traces.js'
import { createTroubles } from './troubles.js'

const logs = createLogs()
const parts = [
  createMap(),
  createTroubles(press),
  createStory(() => press('story')),
  createStates(),
  createMinute(),
  createMethods(),
  createTraces((requestId) => logs.show(requestId)),
  logs,
]

/** What the parts show, after something is new; `update` is that something, undefined when all of it is. */
function refresh(update) {
  for (const part of parts) part.update(update)
  showPulse()
}

function press(button) {
  fetch(`/${button}`, { method: 'POST' })
    .then((response) => response.text())
    .catch(() => {
      // The connection shows that the shop is closed.
    })
}

function showPulse() {
  const customers = latest()?.methods.filter(({ place }) => place === 'outside') ?? []
  const calls = customers.reduce((sum, { perSecond }) => sum + perSecond, 0)
  const errors = customers.reduce((sum, { errorsPerSecond }) => sum + errorsPerSecond, 0)
  setPulse(errors / (calls || 1) > 0.02 ? 'warn' : 'ok', `${rate(calls)} calls/s · ${share(errors, calls)} errors`)
}

function setPulse(state, text) {
  const pulse = byId('pulse')
  pulse.dataset.state = state
  setText(pulse.querySelector('.text'), text)
}

const source = new EventSource('/events')
const on = (name, hear) => source.addEventListener(name, ({ data }) => hear(JSON.parse(data)))

on('hello', (hello) => {
  begin(hello)
  refresh()
})
on('update', (update) => {
  advance(update)
  refresh(update)
})
on('troubles', (active) => {
  store.active = new Set(active)
  refresh({})
})
on('story', (story) => {
  store.story = story
  refresh({})
})
source.addEventListener('error', () => setPulse('bad', 'the shop is closed'))
