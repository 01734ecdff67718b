import uPlot from '/uplot.js'
import { colour } from './colours.js'

const SPAN_S = 60
const HEIGHT = 200

/**
 * A chart of the last minute.
 * @param lines what is drawn: `{ label, colour, filled }`
 * @param unit makes a value readable
 */
export function createChart(container, lines, unit) {
  const axis = {
    stroke: () => colour('--muted'),
    grid: { stroke: () => colour('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  }
  const plot = new uPlot(
    {
      width: container.clientWidth || 300,
      height: HEIGHT,
      padding: [10, 8, 0, 0],
      cursor: { y: false, points: { size: 6 } },
      legend: { live: true },
      scales: {
        x: { time: true, range: (_, __, max) => [max - SPAN_S, max] },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.15 : 1] },
      },
      axes: [
        {
          ...axis,
          space: 70,
          size: 28,
          values: (_, seconds) => seconds.map((s) => new Date(s * 1000).toISOString().slice(14, 19)),
        },
        { ...axis, size: 56, values: (_, values) => values.map(unit) },
      ],
      series: [
        { label: 'time', value: (_, s) => (s == null ? '–' : new Date(s * 1000).toISOString().slice(11, 19)) },
        ...lines.map(({ label, colour: name, filled }) => ({
          label,
          stroke: () => colour(name),
          ...(filled && { fill: () => colour(`${name}-soft`) }),
          width: 1.75,
          points: { show: false },
          value: (_, value) => (value == null ? '–' : unit(value)),
        })),
      ],
    },
    [[], ...lines.map(() => [])],
    container,
  )
  new ResizeObserver(() => plot.setSize({ width: container.clientWidth, height: HEIGHT })).observe(container)
  document.addEventListener('themechange', () => plot.redraw())
  /** @param points `[seconds, value, value, …]` */
  return (points) => {
    plot.setData([0, ...lines.keys()].map((_, i) => points.map((point) => point[i])))
    // While the pointer is on no moment, the legend shows the latest one.
    if (plot.cursor.idx == null) plot.setLegend({ idx: points.length - 1 }, false)
  }
}
