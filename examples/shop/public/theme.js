// Runs before the first paint, so that the page never shows the wrong colours.
;(() => {
  const names = ['auto', 'light', 'dark']
  const read = () => {
    try {
      return localStorage.getItem('theme') ?? 'auto'
    } catch {
      return 'auto'
    }
  }
  let theme = read()
  const apply = () => {
    if (theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
    const button = document.getElementById('theme')
    if (button) button.textContent = `Theme: ${theme}`
    document.dispatchEvent(new Event('themechange'))
  }
  apply()
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply)
  document.addEventListener('DOMContentLoaded', () => {
    apply()
    document.getElementById('theme').addEventListener('click', () => {
      theme = names[(names.indexOf(theme) + 1) % names.length]
      try {
        localStorage.setItem('theme', theme)
      } catch {
        // Then it is for this visit.
      }
      apply()
    })
  })
})()
