// What the charts show: the differences between readings of counters that only grow.

const KEPT = 450; // readings: fifteen minutes at one every two seconds
const LATENCY_SPAN = 10; // readings over which a percentile is taken

/** Our name of a histogram, and the beginning of its buckets' lines. */
const HISTOGRAMS = {
  ingest: 'mindcore_ingestion_duration_seconds_bucket{',
  enrichment: 'mindcore_enrichment_duration_seconds_bucket{',
  model: 'mindcore_enrichment_duration_seconds_bucket{method="llm",',
  context: 'mindcore_context_retrieval_duration_seconds_bucket{',
  search: 'mindcore_search_duration_seconds_bucket{',
};

/** A histogram: {bound in ms: observations up to it}. */
export const NOTHING = new Map();
export const observed = (histogram) => (histogram.get(Infinity) ?? 0) > 0;

/** All of them from Prometheus text; what a line begins with decides, so labels are summed. */
export function readHistograms(text) {
  const lines = text.split('\n');
  return Object.fromEntries(Object.entries(HISTOGRAMS).map(([name, start]) => {
    const histogram = new Map();
    for (const line of lines) {
      const match = line.startsWith(start) && /le="([^"]+)"\} (\d+)/.exec(line);
      if (!match) continue;
      const bound = match[1] === '+Inf' ? Infinity : 1000 * Number(match[1]);
      histogram.set(bound, (histogram.get(bound) ?? 0) + Number(match[2]));
    }
    return [name, histogram];
  }));
}

/** label value -> count of mindcore_errors_total. */
export function readErrors(text) {
  return [...text.matchAll(/^mindcore_errors_total\{error_type="([^"]+)"\} (\d+)/gm)]
    .map((match) => ({ kind: match[1], count: Number(match[2]) }));
}

/** The quantile of what was observed between two readings, in ms; null when nothing was. */
export function quantile(before, after, share) {
  const buckets = [...after].map(([bound, total]) => [bound, total - (before.get(bound) ?? 0)]);
  buckets.sort((a, b) => a[0] - b[0]);
  const total = buckets.length ? buckets[buckets.length - 1][1] : 0;
  if (total <= 0) return null;
  let low = 0;
  let below = 0;
  for (const [bound, upTo] of buckets) {
    if (upTo >= share * total) {
      if (bound === Infinity) return low;
      return low + ((bound - low) * (share * total - below)) / Math.max(upTo - below, 1);
    }
    low = bound;
    below = upTo;
  }
  return low;
}

/** Readings, newest last, and the points made of them. */
export class Samples {
  constructor() {
    this.readings = [];
    this.points = [];
  }

  add(metrics, histograms, seconds) {
    const reading = { seconds, metrics, histograms };
    const last = this.readings[this.readings.length - 1];
    // A restarted server counts from zero: nothing can be said about the time between.
    if (last && metrics.uptime_seconds < last.metrics.uptime_seconds) this.readings = [];
    this.points.push(this.point(reading));
    this.readings.push(reading);
    if (this.readings.length > LATENCY_SPAN) this.readings.shift();
    if (this.points.length > KEPT) this.points.shift();
  }

  point(now) {
    const last = this.readings[this.readings.length - 1];
    const passed = last ? now.seconds - last.seconds : 0;
    const perSecond = (name) => (passed > 0 ? (now.metrics[name] - last.metrics[name]) / passed : null);
    const p95 = (name) => (last ? quantile(this.readings[0].histograms[name], now.histograms[name], 0.95) : null);
    return {
      seconds: now.seconds,
      ingested: perSecond('messages_ingested'),
      enriched: perSecond('messages_enriched'),
      contexts: perSecond('context_requests'),
      searches: perSecond('search_requests'),
      depth: now.metrics.queue_depth,
      dead: now.metrics.dead_jobs,
      ingest: p95('ingest'),
      enrichment: p95('enrichment'),
      context: p95('context'),
      search: p95('search'),
    };
  }

  latest() {
    return this.points[this.points.length - 1];
  }

  /** Columns for a chart: the times, then each name. */
  columns(names) {
    return ['seconds', ...names].map((name) => this.points.map((point) => point[name]));
  }
}
