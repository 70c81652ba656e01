// Line and bar charts by uPlot, in the colours of the style sheet, as wide as their place.
import uPlot from 'uplot';
import { $ } from './dom.js';
import { clock } from './format.js';

const HEIGHT = 190;
const charts = [];

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function axis(more) {
  const line = color('--line');
  return {
    stroke: color('--muted'), font: '11px system-ui, sans-serif', grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, ...more,
  };
}

function series(chart) {
  const bars = chart.bars && uPlot.paths.bars({ size: [0.6, 28], radius: 0.2 });
  return chart.lines.map(({ label, color: number }) => {
    const stroke = color(`--color-${number}`);
    return {
      label, stroke, width: bars ? 0 : 2, fill: bars ? stroke : `${stroke}1f`, paths: bars || undefined, spanGaps: true,
      points: { show: bars ? false : undefined, size: 5 }, value: (_, value) => (value === null || value === undefined ? '–' : chart.format(value)),
    };
  });
}

function draw(chart) {
  const place = $(chart.id);
  chart.plot?.destroy();
  chart.plot = null;
  const width = place.clientWidth;
  if (!width) return; // hidden: drawn when it is shown
  const tell = chart.bars
    ? (seconds) => new Date(seconds * 1000).toISOString().slice(5, 10)
    : (seconds) => clock(new Date(seconds * 1000));
  chart.plot = new uPlot({
    width, height: HEIGHT, padding: [8, 8, 0, 0], cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: chart.bars ? { range: (_, low, high) => [low - 43200, high + 43200] } : {}, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    series: [{ value: (_, value) => (value ? tell(value) : '–') }, ...series(chart)],
    axes: [axis({ values: (_, ticks) => ticks.map(tell), space: 70 }), axis({ size: 56, values: (_, ticks) => ticks.map(chart.format) })],
  }, chart.data, place);
}

/** A chart in the element `id`; lines: [{label, color}]; data comes by setChart. */
export function addChart(id, lines, format, bars = false) {
  const chart = { id, lines, format, bars, data: [[], ...lines.map(() => [])], plot: null };
  charts.push(chart);
  new ResizeObserver(() => {
    const width = $(id).clientWidth;
    if (!chart.plot) draw(chart);
    else if (width && width !== chart.plot.width) chart.plot.setSize({ width, height: HEIGHT });
  }).observe($(id));
}

export function setChart(id, data) {
  const chart = charts.find((one) => one.id === id);
  chart.data = data;
  chart.plot?.setData(data);
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts.forEach(draw));
