const probe = document.createElement('span')
probe.hidden = true
document.body.append(probe)

/** The colour of this name in the style sheet, as the current theme has it, for a canvas: `colour('--ok')`. */
export function colour(name) {
  probe.style.color = `var(${name})`
  return getComputedStyle(probe).color
}
