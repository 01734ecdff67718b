import { byId, h } from './dom.js'
import { clock, ms } from './format.js'
import { createPause } from './pause.js'
import { titles } from './places.js'
import { store } from './store.js'

const levels = ['debug', 'info', 'warn', 'error']
const SHOWN = 80

/** The records of all services, newest first, by request id and level. */
export function createLogs() {
  const body = byId('logs')
  const request = byId('log-request')
  const level = byId('log-level')
  level.append(...levels.map((name) => h('option', { value: name }, name)))
  level.value = 'info'
  const pause = createPause(byId('pause-logs'), body, () => update())
  request.addEventListener('input', () => update())
  level.addEventListener('change', () => update())

  /** Shows all that was said about one request. */
  function show(requestId) {
    request.value = requestId
    level.value = 'debug'
    update()
    byId('logs-title').scrollIntoView({ block: 'start', behavior: 'smooth' })
    request.focus({ preventScroll: true })
  }

  function update() {
    if (pause.paused) return
    const wanted = request.value.trim()
    const least = levels.indexOf(level.value)
    const found = []
    for (let i = store.logs.length - 1; i >= 0 && found.length < SHOWN; i--) {
      const log = store.logs[i]
      if (levels.indexOf(log.level) < least) continue
      if (wanted !== '' && !String(log.fields['request.id'] ?? '').startsWith(wanted)) continue
      found.push(log)
    }
    const none = h(
      'tr',
      {},
      h('td', { colspan: '7', class: 'none' }, wanted ? `Nothing about ${wanted}.` : 'Nothing yet.'),
    )
    body.replaceChildren(...(found.length > 0 ? found.map(row) : [none]))
  }

  function row({ at, level: severity, place, fields, message }) {
    const code = fields['grpc.code'] ?? ''
    const id = fields['request.id']
    const arrow = fields['grpc.component'] === 'client' ? '→ ' : ''
    const call = fields['grpc.method']
      ? `${arrow}${fields['grpc.service'].split('.').at(-1)}/${fields['grpc.method']}`
      : message
    const refused = fields['grpc.refused_by']
    const why = refused ? ` by ${refused}` : ''
    return h(
      'tr',
      { class: severity },
      h('td', { class: 'time' }, clock(at)),
      h('td', {}, h('span', { class: `level ${severity}` }, severity)),
      h('td', {}, h('span', { class: `place ${place}` }, titles[place])),
      h('td', { class: 'call' }, call),
      h('td', { class: code === 'OK' ? '' : 'bad', title: fields['grpc.error'] ?? '' }, `${code}${why}`),
      h('td', { class: 'number' }, fields['grpc.time_ms'] === undefined ? '' : ms(fields['grpc.time_ms'])),
      h('td', {}, id ? h('button', { type: 'button', class: 'link', onclick: () => show(id) }, id.slice(0, 18)) : ''),
    )
  }

  return { update, show }
}
