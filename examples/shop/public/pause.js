/**
 * A button that holds a list still. The list also holds still while the pointer or the focus is in it: what one is about
 * to press must not move away.
 */
export function createPause(button, list, resumed) {
  let pressed = false
  let near = false
  button.addEventListener('click', () => {
    pressed = !pressed
    button.setAttribute('aria-pressed', String(pressed))
    button.textContent = pressed ? 'Resume' : 'Pause'
    if (!pressed) resumed()
  })
  list.addEventListener('pointerenter', () => {
    near = true
  })
  list.addEventListener('pointerleave', () => {
    near = false
  })
  return {
    get paused() {
      return pressed || near || list.contains(document.activeElement)
    },
  }
}
