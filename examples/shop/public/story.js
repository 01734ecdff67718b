import { byId, h, setText } from './dom.js'
import { store } from './store.js'

const marks = { running: '◐', ok: '✓', failed: '✗' }
const words = { running: 'now', ok: 'as told', failed: 'not as told' }

/** The steps of the story, the latest with its two lines. */
export function createStory(tell) {
  const list = byId('story')
  const button = byId('tell')
  button.addEventListener('click', tell)
  let shown

  function rebuild() {
    shown = store.steps
    list.replaceChildren(
      ...shown.map((name) =>
        h(
          'li',
          { 'data-step': name },
          h('span', { class: 'mark', 'aria-hidden': 'true' }),
          h('span', { class: 'name' }, name),
          h('span', { class: 'visually-hidden state' }),
          h('div', { class: 'told' }),
        ),
      ),
    )
  }

  return {
    update() {
      if (shown !== store.steps) rebuild()
      const entries = store.steps.map((name) => [name, store.story[name]])
      const last = entries.findLast(([, step]) => step !== undefined && step.state !== 'running')?.[0]
      for (const [i, [name, step]] of entries.entries()) {
        const item = list.children[i]
        item.dataset.state = step?.state ?? 'later'
        setText(item.querySelector('.mark'), marks[step?.state] ?? '○')
        setText(item.querySelector('.state'), words[step?.state] ?? '')
        const lines = name === last ? (step.ok ? [step.told.happened, step.told.seen] : [step.error]) : []
        const told = item.querySelector('.told')
        if (told.dataset.lines !== lines.join('\n')) {
          told.dataset.lines = lines.join('\n')
          told.replaceChildren(...lines.map((line) => h('p', {}, line)))
        }
      }
      const begun = store.story[store.steps[0]] !== undefined
      button.disabled = begun && !['ok', 'failed'].includes(store.story[store.steps.at(-1)]?.state)
      setText(button, begun ? 'Tell it again' : 'Tell it')
    },
  }
}
