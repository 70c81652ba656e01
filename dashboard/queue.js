// Jobs: how many wait, which were given up, and what went wrong lately.
import { $, bar, empty, failure, fill, h, note, show, table } from './dom.js';
import { post } from './client.js';
import { count, duration, many, time } from './format.js';

export const DEAD_SHOWN = 100;

let shown = ''; // what the table of dead jobs was made of, so that it is not made anew under the reader's hand

export function prepareQueue(refresh) {
  $('retry-all').addEventListener('click', () => retry({}, $('retry-all'), refresh));
  $('dead').addEventListener('click', (event) => {
    const button = event.target.closest('button[data-message]');
    if (button) retry({ message_id: button.dataset.message }, button, refresh);
  });
}

async function retry(body, button, refresh) {
  button.disabled = true;
  try {
    const { retried } = await post('/v1/queue/retry', body);
    $('retried').textContent = `${many(retried, 'job')} made ready again.`;
    shown = '';
    await refresh();
  } catch (error) {
    fill($('retried'), failure(error));
    button.disabled = false;
  }
}

export function showQueue(queue) {
  show('queue_ready', count(queue.ready));
  show('queue_leased', count(queue.leased));
  show('queue_dead', count(queue.dead));
  show('queue_oldest', queue.depth ? duration(queue.oldest_age_seconds) : '–');
  for (const badge of document.querySelectorAll('[data-metric="queue_badge"]')) {
    badge.textContent = count(queue.dead);
    badge.hidden = queue.dead === 0;
  }
  const now = JSON.stringify(queue.dead_jobs) + queue.dead;
  if (now === shown) return;
  shown = now;
  $('retry-all').disabled = queue.dead === 0;
  fill($('dead'), queue.dead_jobs.length ? deadTable(queue.dead_jobs) : empty('No job was given up.'),
    queue.dead > queue.dead_jobs.length && note(`The first ${count(queue.dead_jobs.length)} of ${count(queue.dead)}.`));
}

function deadTable(jobs) {
  return table([
    ['Message', (job) => h('code', {}, job.message_id)],
    ['User', (job) => h('code', {}, job.user_id)],
    ['Error', (job) => h('span', { class: 'error', dir: 'auto' }, job.error ?? '')],
    ['Attempts', (job) => count(job.attempts), 'number'],
    ['Given up', (job) => time(job.died_at)],
    ['', (job) => h('button', { type: 'button', data: { message: job.message_id } }, 'Retry')],
  ], jobs);
}

/** What is wrong now, and the last errors that the server remembers. */
export function showProblems({ health, workers, models }) {
  const enrichment = workers?.workers.enrichment;
  const reasons = [...new Set([...(health?.reasons ?? []), ...(enrichment?.issues ?? [])])];
  const items = reasons.map((text) => h('li', {}, h('b', {}, 'now'), h('span', { dir: 'auto' }, text)));
  if (enrichment?.metrics.last_error) {
    items.push(h('li', {}, h('b', {}, 'enrichment'), h('span', { dir: 'auto' }, enrichment.metrics.last_error)));
  }
  for (const model of models?.models ?? []) {
    if (!model.last_error) continue;
    items.push(h('li', {}, h('b', {}, model.provider), h('span', { dir: 'auto' }, model.last_error),
      model.last_error_at && h('time', {}, time(model.last_error_at))));
  }
  fill($('problems'), items.length ? items : h('li', { class: 'empty' }, 'Nothing went wrong since the start.'));
}

export function showFailures(errors) {
  const total = errors.reduce((sum, error) => sum + error.count, 0);
  fill($('failures'), total === 0 ? empty('None.')
    : bar(errors.filter((error) => error.count).map((error, i) =>
      ({ label: error.kind, value: error.count, text: count(error.count), color: (i % 8) + 1 }))));
}
