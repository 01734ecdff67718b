import uPlot from '/uplot.js'
import { colour } from './colours.js'

/** A small chart of one line, without axes. Returns what shows points `[seconds, value]`. */
export function createSparkline(container, name) {
  const plot = new uPlot(
    {
      width: container.clientWidth || 200,
      height: 44,
      cursor: { show: false },
      legend: { show: false },
      axes: [{ show: false }, { show: false }],
      scales: { y: { range: (_, __, max) => [0, Math.max(1, max)] } },
      padding: [4, 0, 2, 0],
      series: [
        {},
        { stroke: () => colour(name), fill: () => colour(`${name}-soft`), width: 1.5, points: { show: false } },
      ],
    },
    [[], []],
    container,
  )
  new ResizeObserver(() => plot.setSize({ width: container.clientWidth, height: 44 })).observe(container)
  document.addEventListener('themechange', () => plot.redraw())
  return (points) => plot.setData([points.map(([x]) => x), points.map(([, y]) => y)])
}
