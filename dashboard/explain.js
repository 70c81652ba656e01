// Why a message was found, and why a context holds what it does.
import { $, bar, chip, empty, facts, failure, fill, h, note } from './dom.js';
import { get, post, userPath } from './client.js';
import { count, milliseconds, words } from './format.js';
import { featureColor, messageCard } from './messages.js';

const HITS = 30;
const FOLDED_OVER = 5;
const PREVIEW = 160; // characters of a message that its line shows

const shares = (why) => bar(why.map(({ feature, share }) =>
  ({ label: words(feature), value: share, text: `${Math.round(100 * share)}%`, color: featureColor(feature) })), 1);

/** Runs a form's request for the chosen user; place shows what came of it. */
async function ask(event, selection, place, work) {
  event.preventDefault();
  if (!selection.user) {
    fill(place, empty('Choose a user first.'));
    return;
  }
  const button = event.target.querySelector('button.primary');
  button.disabled = true;
  try {
    await work(Object.fromEntries(new FormData(event.target)));
  } catch (error) {
    fill(place, failure(error));
  } finally {
    button.disabled = false;
  }
}

export function prepareExplain(selection) {
  $('search-form').addEventListener('submit', (event) => ask(event, selection, $('hits'), (form) => search(form, selection)));
  $('context-form').addEventListener('submit', (event) => ask(event, selection, $('context'), (form) => assemble(form, selection)));
}

/** Another user was chosen: what was found before is not theirs. */
export function clearExplain() {
  fill($('hits'));
  fill($('context'));
}

async function search(form, { user, thread, agent }) {
  const { hits } = await get(userPath(user, 'search'), {
    q: form.q, topics: form.topics, intent: form.intent, thread_id: form.here ? thread : '', agent_id: agent, limit: HITS, explain: true,
  });
  fill($('hits'), hits.length === 0 && empty('Nothing was found.'), hits.map(({ message, score, why }) =>
    messageCard(message, h('div', { class: 'why' }, h('span', { class: 'label' }, `Score ${score.toFixed(3)}`), shares(why)))));
}

async function assemble(form, { user, thread, agent }) {
  const body = { user_id: user, thread_id: thread || 'dashboard', query: form.query, mode: form.mode };
  if (form.max_tokens) body.max_tokens = Number(form.max_tokens);
  if (form.max_messages) body.max_messages = Number(form.max_messages);
  if (agent) body.agent_id = agent;
  const answer = await post('/v1/context', body);
  fill($('context'), summary(answer.metadata),
    h('article', { class: 'card' }, h('h2', {}, 'What the agent gets'), h('pre', { class: 'assembled', dir: 'auto' }, answer.assembled_context)),
    answer.key_points.length > 0 && h('article', { class: 'card' }, h('h2', {}, 'Key points'),
      h('ul', { class: 'points' }, answer.key_points.map((point) => h('li', { dir: 'auto' }, point)))),
    h('article', { class: 'card' }, h('h2', {}, 'Why each part is there'), items(answer.metadata.items ?? [], agent)));
}

function summary(metadata) {
  const sources = Object.entries(metadata.sources).filter(([, value]) => typeof value === 'number' && value > 0);
  return h('article', { class: 'card' },
    h('dl', { class: 'facts' }, facts([
      ['Tokens', `${count(metadata.tokens)} of ${count(metadata.max_tokens)}`],
      ['Messages', `${count(metadata.messages)} of ${count(metadata.max_messages)}`],
      ['Confidence', String(metadata.confidence)],
      ['Chosen', metadata.method + (metadata.fallback ? `: ${metadata.fallback}` : '')],
      ['Took', milliseconds(metadata.elapsed_ms)],
    ])),
    sources.length > 0 && bar(sources.map(([name, value]) =>
      ({ label: words(name), value, text: count(value), color: featureColor(name) }))));
}

/** Items by section, the ranked ones first; long lists of what is merely recent are folded. */
function items(list, agent) {
  if (!list.length) return note('Nothing of the memory is in it.');
  const sections = [...new Set(list.map((item) => item.section))].sort((a, b) => (a === 'recent') - (b === 'recent'));
  return sections.map((section) => {
    const members = list.filter((item) => item.section === section);
    const rows = members.map((item) => itemDetails(item, agent));
    const details = h('details', { class: 'items', open: section !== 'recent' || members.length <= FOLDED_OVER },
      h('summary', {}, chip(words(section), 'section'), count(members.length)),
      h('ul', {}, rows.map((row) => h('li', {}, row.details))));
    details.addEventListener('toggle', () => details.open && rows.forEach((row) => row.preview()));
    return details;
  });
}

/** An item of a context: the beginning of its message, which shows itself as a whole when it is opened. */
function itemDetails(item, agent) {
  const id = item.message_id ?? '';
  const name = id ? h('code', {}, id) : h('bdi', {}, `${item.source}: ${item.title}`);
  const said = h('span', { class: 'said', dir: 'auto' });
  const place = h('div', {});
  let asked = null;
  const message = () => (asked ??= get(`/v1/messages/${encodeURIComponent(id)}`, { agent_id: agent }));
  const preview = async () => {
    try {
      if (id) said.textContent = (await message()).raw_text.slice(0, PREVIEW);
    } catch {
      asked = null; // opening it tells what is wrong
    }
  };
  const details = h('details', { data: { item: id } },
    h('summary', {}, said, name, item.score > 0 && h('span', { class: 'label' }, `score ${item.score.toFixed(3)}`), shares(item.why ?? [])),
    place);
  details.addEventListener('toggle', async () => {
    if (!details.open || place.firstChild || !id) return;
    try {
      fill(place, messageCard(await message()));
    } catch (error) {
      asked = null;
      fill(place, failure(error));
    }
  });
  return { details, preview };
}
