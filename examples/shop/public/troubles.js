import { byId, h, setText } from './dom.js'
import { store } from './store.js'

/** Buttons that start and stop what can go wrong. */
export function createTroubles(press) {
  const list = byId('trouble-list')
  // Where the switches are a bar without their texts, the text of what is on.
  const now = byId('trouble-now')
  let shown

  function rebuild() {
    shown = store.troubles
    list.replaceChildren(
      ...shown.map(({ id, title, text }) =>
        h(
          'li',
          { 'data-id': id },
          h(
            'button',
            { type: 'button', 'aria-pressed': 'false', 'aria-describedby': `about-${id}`, onclick: () => toggle(id) },
            h('span', { class: 'switch', 'aria-hidden': 'true' }),
            h('span', { class: 'name' }, title),
            h('span', { class: 'now' }),
          ),
          h('p', { id: `about-${id}` }, text),
        ),
      ),
    )
  }

  function toggle(id) {
    press(`trouble/${id}/${store.active.has(id) ? 'stop' : 'start'}`)
  }

  return {
    update() {
      if (shown !== store.troubles) rebuild()
      setText(now, store.troubles.findLast(({ id }) => store.active.has(id))?.text ?? '')
      for (const { id, momentary } of store.troubles) {
        const item = list.querySelector(`[data-id="${id}"]`)
        const on = store.active.has(id)
        const button = item.querySelector('button')
        button.setAttribute('aria-pressed', String(on))
        // What passes by itself cannot be stopped.
        button.disabled = momentary && on
        setText(item.querySelector('.now'), on ? (momentary ? 'under way' : 'on') : '')
      }
    },
  }
}
