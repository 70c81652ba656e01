// One message as a card: what was said, and what the enricher found in it.
import { chip, h } from './dom.js';
import { percent, time, words } from './format.js';

/** A feature of a score, a section or source of a context has the same colour everywhere. */
const COLORS = {
  words: 1, relevant: 1, neighbours: 2, neighbour: 2, next_to_relevant: 2, session: 3, important: 3, background: 3, topics: 4, last_session: 4, time_named: 4,
  chosen_by_model: 4, answer: 5, preferences: 5, time: 6, recent: 6, newest_of_thread: 6, number: 7, summaries: 7, speaker: 8, external: 8,
};
export const featureColor = (name) => COLORS[name] ?? 8;

const sentimentText = ({ overall, score }) => (score ? `${overall} ${score > 0 ? '+' : ''}${score}` : overall);

function found(metadata) {
  const sentiment = metadata.sentiment;
  return [
    ['Topics', (metadata.topics ?? []).map((topic) => chip(words(topic), 'topic'))],
    ['Intent', metadata.intent && chip(words(metadata.intent), 'intent')],
    ['Sentiment', sentiment && chip(sentimentText(sentiment), sentiment.overall)],
    ['Entities', (metadata.entities ?? []).map((entity) => h('span', { class: 'chip entity' }, h('small', {}, words(entity.type)), ' ',
      h('bdi', {}, entity.value)))],
    ['Key phrases', (metadata.key_phrases ?? []).map((phrase) => chip(phrase))],
    ['Tags', (metadata.tags ?? []).map((tag) => chip(words(tag)))],
  ].filter(([, value]) => value && (!Array.isArray(value) || value.length));
}

function importance(value) {
  const meter = h('span', { class: 'meter', title: `importance ${value}` }, h('i'));
  meter.firstChild.style.width = percent(value);
  return h('span', { class: 'importance' }, 'Importance', meter, h('b', {}, String(value)));
}

/** How the metadata came about: "builtin", "llm gpt-4o-mini", "trivial: thanks". */
function method(message) {
  const metadata = message.metadata;
  if (message.enrichment_state !== 'enriched') return message.enrichment_state;
  return [metadata.method, metadata.model, metadata.trivial_category && `(${words(metadata.trivial_category)})`]
    .filter(Boolean).join(' ');
}

export function messageCard(message, more) {
  const { metadata } = message;
  const trouble = metadata.enrichment_error ?? metadata.fallback_reason;
  return h('article', { class: `message ${message.role}`, data: { message: message.message_id } },
    h('header', {},
      h('b', { class: 'role' }, message.role),
      message.agent_id && h('code', {}, message.agent_id),
      h('time', { datetime: message.created_at }, time(message.created_at)),
      h('code', {}, message.message_id),
      h('span', { class: 'grow' }),
      h('span', { class: 'method' }, method(message)),
      h('span', { class: 'tier' }, message.tier)),
    h('div', { class: 'text', dir: 'auto' }, message.raw_text),
    metadata.importance !== undefined && h('div', { class: 'found' },
      importance(metadata.importance),
      found(metadata).map(([name, value]) => h('span', { class: 'group', title: name }, h('span', { class: 'label' }, name), value))),
    trouble && h('p', { class: 'failure', dir: 'auto' }, trouble),
    more);
}
