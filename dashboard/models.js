// Models: what can enrich, what it was asked, and what that cost.
import { $, bar, empty, facts, fill, h, show, table } from './dom.js';
import { addChart, setChart } from './charts.js';
import { count, dollars, duration, many, milliseconds, time } from './format.js';

const METHODS = [['llm', 'by a model', 4], ['builtin', 'by rules', 1], ['trivial', 'trivial, at no cost', 2],
  ['waiting', 'waiting for a model', 3]];
const DAY_SECONDS = 86400;

export function prepareModels() {
  addChart('chart-usage', [{ label: 'calls', color: 4 }], count, { least: 5, bars: true });
}

export function showModels(list) {
  const { enrichment, caps, models } = list;
  show('cost_today', dollars(caps.cost_today_usd));
  show('cost_note', `${many(caps.calls_today, 'call')}${caps.reached ? ', the cap is reached' : ''}`);
  fill($('methods'), bar(METHODS.map(([name, label, color]) =>
    ({ label, value: enrichment[name], text: count(enrichment[name]), color }))));
  fill($('caps'), facts([
    ['Cost', `${dollars(caps.cost_today_usd)} of ${caps.daily_usd === null ? 'no limit' : dollars(caps.daily_usd)}`],
    ['Calls', `${count(caps.calls_today)} of ${caps.daily_calls === null ? 'no limit' : count(caps.daily_calls)}`],
    ['Reached', caps.reached ? 'yes: rules take over' : 'no'],
    ['Counted anew', time(caps.resets_at)],
  ]));
  fill($('model-list'), models.map(modelCard));
}

function modelCard(model) {
  const asked = model.calls > 0 || model.calls_today > 0;
  const pairs = asked ? [
    ['Calls', `${count(model.calls)}, ${count(model.failures)} failed`],
    ['Tokens', `${count(model.tokens_in)} in (${count(model.tokens_cached)} cached), ${count(model.tokens_out)} out`],
    ['Answers in', model.latency_ms === null ? '–' : milliseconds(model.latency_ms)],
    ['Cost today', dollars(model.cost_today_usd)],
  ] : [];
  if (model.retry_in_seconds !== null) pairs.push(['Tried again in', duration(model.retry_in_seconds)]);
  if (model.last_error) pairs.push(['Last error', model.last_error]);
  return h('article', { class: 'card model', data: { provider: model.provider } },
    h('div', { class: 'row spread' }, h('h2', {}, model.provider), h('span', { class: 'pill', data: { state: model.state } }, model.state)),
    model.model && h('p', { class: 'strong', dir: 'auto' }, model.model),
    h('p', { class: 'note', dir: 'auto' }, model.detail),
    pairs.length > 0 && h('dl', { class: 'facts' }, facts(pairs)));
}

/** Calls of each day between the first and the last, days without any included. */
function callsByDay(rows) {
  const calls = new Map();
  for (const row of rows) {
    const day = Date.parse(`${row.day}T00:00:00Z`) / 1000;
    calls.set(day, (calls.get(day) ?? 0) + row.calls);
  }
  const today = Math.floor(Date.now() / 1000 / DAY_SECONDS) * DAY_SECONDS;
  const days = Array.from({ length: 30 }, (_, i) => today - (29 - i) * DAY_SECONDS);
  return [days, days.map((day) => calls.get(day) ?? 0)];
}

export function showUsage({ usage, total }) {
  setChart('chart-usage', callsByDay(usage));
  if (!usage.length) {
    fill($('usage'), empty('No model was asked in the last 30 days.'));
    return;
  }
  fill($('usage'), table([
    ['Day', (row) => row.day],
    ['For', (row) => row.operation],
    ['Model', (row) => h('span', { dir: 'auto' }, row.model)],
    ['Calls', (row) => count(row.calls), 'number'],
    ['Failed', (row) => count(row.failures), 'number'],
    ['Tokens in', (row) => count(row.tokens_in), 'number'],
    ['Tokens out', (row) => count(row.tokens_out), 'number'],
    ['Cost', (row) => dollars(row.cost_usd), 'number'],
  ], [{ ...total, day: 'Total', operation: '', model: '' }, ...[...usage].reverse()]));
}
