// What is going on now: figures, charts, health, tiers.
import { $, bar, facts, failure, fill, h, show, table } from './dom.js';
import { addChart, setChart } from './charts.js';
import { post } from './client.js';
import { NOTHING, observed, quantile } from './samples.js';
import { bytes, count, duration, many, milliseconds, perSecond, percent, rate } from './format.js';

const TIERS = { short: 1, mid: 6, long: 4, archive: 7 };
const OPERATIONS = { enrichment: 'enrichment by rules' };
const STATES = { enriched: 2, pending: 3, failed: 5 };

export function prepareOverview() {
  addChart('chart-throughput', [{ label: 'ingested', color: 1 }, { label: 'enriched', color: 2 }], rate, { least: 1 });
  addChart('chart-queue', [{ label: 'waiting or in work', color: 3 }, { label: 'dead', color: 5 }], count, { least: 5 });
  addChart('chart-latency', [{ label: 'ingest', color: 1 }, { label: 'enrichment', color: 2 }, { label: 'context', color: 4 },
    { label: 'search', color: 3 }], milliseconds, { logarithmic: true });
  addChart('chart-reads', [{ label: 'contexts', color: 4 }, { label: 'searches', color: 3 }], rate, { least: 1 });
  $('migrate').addEventListener('click', dryRun);
}

export function showMetrics(metrics, histograms, samples) {
  const point = samples.latest();
  show('ingest_rate', perSecond(point.ingested));
  show('ingest_note', `${count(metrics.messages_ingested)} since the start`);
  show('enrich_rate', perSecond(point.enriched));
  show('enrich_note', `${count(metrics.messages_enriched)} since the start`);
  show('queue_depth', count(metrics.queue_depth));
  show('queue_note', metrics.queue_depth ? `the oldest waits ${duration(metrics.oldest_job_age_seconds)}` : 'nothing waits');
  show('workers', `${count(metrics.active_workers)} of ${count(metrics.worker_pool_size)}`);
  show('workers_note', `${count(metrics.busy_workers)} busy`);
  const reads = metrics.cache_hits + metrics.cache_misses;
  show('cache_hit_rate', reads ? percent(metrics.cache_hit_rate) : '–');
  show('cache_note', reads ? `${count(metrics.cache_hits)} of ${count(reads)} reads` : 'nothing was read yet');
  show('errors', count(metrics.errors));
  show('errors_note', many(metrics.dead_jobs, 'dead job'));
  showLatency(metrics.latency_ms, histograms.model);
  setChart('chart-throughput', samples.columns(['ingested', 'enriched']));
  setChart('chart-queue', samples.columns(['depth', 'dead']));
  setChart('chart-latency', samples.columns(['ingest', 'enrichment', 'context', 'search']));
  setChart('chart-reads', samples.columns(['contexts', 'searches']));
}

/** As /v1/metrics tells it, and what a model takes, which only the histograms tell. */
function showLatency(latency, model) {
  const rows = Object.entries(latency);
  if (observed(model)) rows.splice(2, 0, ['enrichment by a model', Object.fromEntries([50, 95, 99].map((nth) => [`p${nth}`, quantile(NOTHING, model, nth / 100)]))]);
  const cell = (value) => (value > 0 ? milliseconds(value) : '–');
  const made = table([['Operation', ([name]) => OPERATIONS[name] ?? name], ...['p50', 'p95', 'p99'].map((nth) => [nth, ([, row]) => cell(row[nth]), 'number'])], rows);
  made.id = 'latency';
  $('latency').replaceWith(made);
}

const counts = (values, colors) => bar(Object.entries(colors).map(([name, color]) =>
  ({ label: name, value: values[name], text: count(values[name]), color })));

export function showStatus(status) {
  show('messages', count(status.messages));
  show('messages_note', `${many(status.users, 'user')}, ${many(status.threads, 'thread')}`);
  fill($('tiers'), counts(status.messages_by_tier, TIERS));
  fill($('states'), counts(status.messages_by_state, STATES));
  fill($('about'), facts([
    ['Version', status.version],
    ['Store', `${status.backend}, schema ${status.schema_version}`],
    ['Size', bytes(status.size_bytes)],
    ['Models', status.provider],
    ['Cache', `${status.cache.backend}, ${count(status.cache.threads)} threads, ${bytes(status.cache.size_bytes)}`],
    ['Running for', duration(status.uptime_seconds)],
  ]));
}

function tellState(state, text) {
  $('health').dataset.state = state;
  $('health').textContent = text;
}

export const showSilence = () => tellState('failed', 'no answer');

export function showHealth(health) {
  tellState(health.healthy ? 'ok' : 'failed', health.healthy ? 'healthy' : 'in trouble');
  fill($('checks'), Object.entries(health.checks).map(([name, check]) =>
    h('li', { data: { state: check.ok ? 'ok' : 'failed' } }, h('b', {}, name), h('span', {}, check.detail))));
}

async function dryRun() {
  const button = $('migrate');
  button.disabled = true;
  try {
    const due = await post('/v1/tiers/migrate', { dry_run: true });
    $('migration').textContent = `Due now: ${many(due.messages_migrated, 'message')} to move, ` +
      `${many(due.threads_summarized, 'thread')} to summarise, ${many(due.messages_deleted, 'message')} to delete. Nothing was changed.`;
  } catch (error) {
    fill($('migration'), failure(error));
  } finally {
    button.disabled = false;
  }
}
