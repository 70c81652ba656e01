// One message as a card: what was said, and what the enricher found in it.
import { chip, h } from './dom.js';
import { percent, time, words } from './format.js';

const NO_COLOR = 9;
const FEATURES = ['words', 'phrase', 'recency', 'importance', 'session', 'thread', 'topic', 'neighbours'];

/** A feature of a score has the same colour everywhere. */
export function featureColor(name) {
  const known = FEATURES.indexOf(name);
  if (known >= 0) return known + 1;
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return (sum % (NO_COLOR - 1)) + 1;
}

function found(metadata) {
  const sentiment = metadata.sentiment;
  return [
    ['Topics', (metadata.topics ?? []).map((topic) => chip(words(topic), 'topic'))],
    ['Intent', metadata.intent && chip(words(metadata.intent), 'intent')],
    ['Sentiment', sentiment && chip(`${sentiment.overall} ${sentiment.score > 0 ? '+' : ''}${sentiment.score}`, sentiment.overall)],
    ['Entities', (metadata.entities ?? []).map((entity) => h('span', { class: 'chip entity' }, h('small', {}, words(entity.type)), ' ',
      h('bdi', {}, entity.value)))],
    ['Key phrases', (metadata.key_phrases ?? []).map((phrase) => chip(phrase))],
    ['Tags', (metadata.tags ?? []).map((tag) => chip(words(tag)))],
  ].filter(([, value]) => value && (!Array.isArray(value) || value.length));
}

function importance(value) {
  const meter = h('span', { class: 'meter', title: `importance ${value}` }, h('i'));
  meter.firstChild.style.width = percent(value);
  return h('span', { class: 'importance' }, 'importance ', meter, ' ', h('b', {}, String(value)));
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
      h('span', { class: 'grow' }),
      h('span', { class: 'method' }, method(message)),
      h('span', { class: 'tier' }, message.tier)),
    h('div', { class: 'text', dir: 'auto' }, message.raw_text),
    metadata.importance !== undefined && h('div', { class: 'found' },
      importance(metadata.importance),
      found(metadata).map(([name, value]) => h('span', { class: 'group', title: name }, h('span', { class: 'label' }, name), value))),
    trouble && h('p', { class: 'failure', dir: 'auto' }, trouble),
    more,
    h('footer', {}, h('code', {}, message.message_id)));
}
