/** 0.62 ms, 8.1 ms, 124 ms, 2.3 s */
export function ms(value) {
  if (value === 0) return '0 ms'
  if (value >= 1000) return `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} s`
  if (value >= 10) return `${Math.round(value)} ms`
  return `${value.toFixed(value < 1 ? 2 : 1)} ms`
}

/** 0, 0.3, 12 */
export function rate(value) {
  if (value === 0) return '0'
  return value < 10 ? value.toFixed(1) : String(Math.round(value))
}

export const share = (part, whole) => (whole === 0 ? '–' : `${((100 * part) / whole).toFixed(part === 0 ? 0 : 1)} %`)
export const count = (value) => value.toLocaleString('en')
export const megabytes = (bytes) => `${Math.round(bytes / 1024 / 1024)} MB`
export const clock = (at) => new Date(at).toISOString().slice(11, 23)

/** `/shop.orders.Orders/Place` and `shop.orders.Orders/Place` → `Orders/Place` */
export const shortPath = (path) => path.replace(/^\/?([\w.]+\.)?/, '')
