// Line and bar charts by uPlot, in the colours of the style sheet, as wide as their place.
import uPlot from 'uplot';
import { $ } from './dom.js';
import { clock, tick } from './format.js';

const HEIGHT = 180;
const SPAN_SECONDS = 180; // what a line chart shows at least
const HALF_DAY = 43200;
const charts = [];

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** filter: which of the ticks get a line; all when it is not given. */
function axis({ filter, ...more }) {
  const line = { stroke: color('--line'), width: 1, ...(filter && { filter }) };
  return { stroke: color('--muted'), font: '11px system-ui, sans-serif', grid: line, ticks: line, ...more };
}

/** The first line stands on a soft area, so that a second one over it can be told from it. */
function series(chart) {
  const paths = chart.bars ? uPlot.paths.bars({ size: [0.6, 28], radius: 0.2 }) : undefined;
  return chart.lines.map(({ label, color: number }, i) => {
    const stroke = color(`--color-${number}`);
    const fill = chart.bars ? stroke : i === 0 ? `${stroke}24` : undefined;
    return {
      label, stroke, fill, paths, width: chart.bars ? 0 : 2, spanGaps: true, points: { show: false },
      value: (_, value) => (value === null || value === undefined ? '–' : chart.format(value)),
    };
  });
}

/** Whole powers of ten around what is shown. */
const decades = (_, low, high) => (high > 0 ? uPlot.rangeLog(Math.max(low, 0.001), Math.max(high, 0.01), 10, true) : [0.01, 100]);

const powersOfTen = (_, splits) => splits.map((value) => (Number.isInteger(Math.log10(value)) ? value : null));

/** Without a pointer over the chart its legend tells the newest values. */
function tellNewest(plot) {
  const { idx } = plot.cursor;
  if (idx === null || idx === undefined) plot.setLegend({ idx: plot.data[0].length - 1 }, false);
}

const day = (seconds) => new Date(seconds * 1000).toISOString().slice(5, 10);
const moment = (seconds) => clock(new Date(seconds * 1000));
const wide = (_, low, high) => {
  const end = high ?? Date.now() / 1000; // there is nothing yet
  return [Math.min(low ?? end, end - SPAN_SECONDS), end];
};
const aroundBars = (_, low, high) => [low - HALF_DAY, high + HALF_DAY];

function draw(chart) {
  const place = $(chart.id);
  chart.plot?.destroy();
  chart.plot = null;
  const width = place.clientWidth;
  if (!width) return; // hidden: drawn when it is shown
  const tell = chart.bars ? day : moment;
  chart.plot = new uPlot({
    width, height: HEIGHT, padding: [8, 24, 0, 0], cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { range: chart.bars ? aroundBars : wide }, y: chart.logarithmic ? { distr: 3, range: decades } : { range: (_, low, high) => [0, Math.max(high * 1.1, chart.least)] } },
    series: [{ value: (_, value) => (value ? tell(value) : '–') }, ...series(chart)],
    axes: [axis({ values: (_, ticks) => ticks.map(tell), space: 80, size: 32 }),
      axis({ size: 46, space: 26, filter: chart.logarithmic && powersOfTen, values: (_, ticks) => ticks.map((value) => (value === null ? '' : tick(value))) })],
    hooks: { setCursor: [tellNewest], ready: [tellNewest] },
  }, chart.data, place);
}

/**
 * A chart in the element `id`; lines: [{label, color}]; options: least, how high it is at least; bars, one a day;
 * logarithmic. Data comes by setChart.
 */
export function addChart(id, lines, format, options) {
  const chart = { id, lines, format, ...options, data: [[], ...lines.map(() => [])], plot: null };
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
  if (!chart.plot) return;
  chart.plot.setData(data);
  tellNewest(chart.plot);
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts.forEach(draw));
