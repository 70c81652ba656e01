// The dashboard: asks the server again and again while somebody looks, and shows what it says.
import { $, fill, h, show } from './dom.js';
import { get, prepareKeyDialog, text } from './client.js';
import { clock } from './format.js';
import { Samples, readErrors, readHistograms } from './samples.js';
import { prepareOverview, showHealth, showMetrics, showSilence, showStatus } from './overview.js';
import { DEAD_SHOWN, prepareQueue, showFailures, showProblems, showQueue } from './queue.js';
import { prepareModels, showModels, showUsage } from './models.js';
import { prepareBrowser, showAgentField, showUsers } from './browser.js';

const PARTS = ['overview', 'queue', 'models', 'memory'];
const samples = new Samples();
const known = {}; // the last answers that more than one part shows

async function figures() {
  const [metrics, exposition] = await Promise.all([get('/v1/metrics'), text('/metrics')]);
  const histograms = readHistograms(exposition);
  samples.add(metrics, histograms, Date.now() / 1000);
  showMetrics(metrics, histograms, samples);
  showFailures(readErrors(exposition));
}

async function queue() {
  showQueue(await get('/v1/queue', { dead_limit: DEAD_SHOWN }));
}

async function health() {
  known.health = await get('/health');
  showHealth(known.health);
  showProblems(known);
}

async function workers() {
  known.workers = await get('/v1/workers/health');
  showProblems(known);
}

async function models() {
  known.models = await get('/v1/models');
  showModels(known.models);
  showProblems(known);
}

/** What is asked, how often, and for which part (none: for all). */
const TASKS = [
  { work: figures, every: 2000 },
  { work: queue, every: 2000 },
  { work: health, every: 5000 },
  { work: workers, every: 5000 },
  { work: models, every: 5000 },
  { work: async () => showStatus(await get('/v1/status')), every: 15000, part: 'overview' },
  { work: async () => showUsage(await get('/v1/usage')), every: 60000, part: 'models' },
  { work: showUsers, every: Infinity, part: 'memory' },
  { work: showAgentField, every: Infinity, part: 'memory' },
];
const LOOK_MS = 250;
const CALM_MS = 2000; // after a failure
const REFUSALS = [401, 403, 404]; // asking again without another key is of no use
for (const task of TASKS) Object.assign(task, { due: 0, running: false, error: null });

const part = () => (PARTS.includes(location.hash.slice(1)) ? location.hash.slice(1) : PARTS[0]);

const isShown = (task) => !task.part || task.part === part();

function refresh(work) {
  TASKS.find((task) => task.work === work).due = 0;
}

async function run(task) {
  task.running = true;
  task.due = Infinity;
  let due;
  try {
    await task.work();
    task.error = null;
    due = performance.now() + task.every;
    if (!known.health) refresh(health); // it was silent
    show('updated', `Updated ${clock(new Date())}`);
  } catch (error) {
    task.error = error;
    due = performance.now() + (REFUSALS.includes(error.status) ? Infinity : CALM_MS);
    if (error.status === 0) {
      known.health = null;
      showSilence();
    }
  }
  task.running = false;
  // Who wants it again meanwhile, perhaps with another key, does not want this answer.
  if (task.due === 0) task.error = null;
  else task.due = due;
  tellTrouble();
}

/** Asks what is due, while the page is looked at. */
function look() {
  if (document.hidden) return;
  const now = performance.now();
  for (const task of TASKS) {
    if (!task.running && task.due <= now && isShown(task)) run(task);
  }
}

function refreshAll() {
  for (const task of TASKS) Object.assign(task, { due: 0, error: null });
  look();
}

/** One line at the top: what cannot be asked, else why the server is not healthy. */
function tellTrouble() {
  const errors = [...new Set(TASKS.filter((task) => task.error && isShown(task)).map(({ error }) => error.message))];
  const reasons = known.health?.healthy === false ? known.health.reasons : [];
  const lines = errors.length ? errors : reasons;
  $('banner').hidden = lines.length === 0;
  fill($('banner'), lines.map((line) => h('div', { dir: 'auto' }, line)));
}

function showPart() {
  for (const name of PARTS) $(name).hidden = name !== part();
  for (const link of document.querySelectorAll('nav a')) {
    link.setAttribute('aria-current', link.hash === `#${part()}` ? 'page' : 'false');
  }
  tellTrouble();
  look();
}

prepareKeyDialog(refreshAll);
prepareOverview();
prepareQueue(queue);
prepareModels();
prepareBrowser();
addEventListener('hashchange', showPart);
document.addEventListener('visibilitychange', look);
showPart();
setInterval(look, LOOK_MS);
