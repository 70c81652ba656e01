// The memory of one user: users, threads, messages.
import { $, empty, failure, fill, h } from './dom.js';
import { get, userPath } from './client.js';
import { count, day } from './format.js';
import { messageCard } from './messages.js';
import { clearExplain, prepareExplain } from './explain.js';

const PAGE = 50;
const TYPING_MS = 250;

/** What is looked at; explain.js reads it too. */
const selection = { user: '', thread: '', agent: '' };

export function prepareBrowser() {
  prepareExplain(selection);
  let typing;
  $('user').addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(showUsers, TYPING_MS);
  });
  $('user-form').addEventListener('submit', (event) => {
    event.preventDefault();
    if ($('user').value.trim()) chooseUser($('user').value.trim());
  });
  $('agent').addEventListener('change', () => {
    selection.agent = $('agent').value.trim();
    clearExplain();
    showMessages();
  });
  for (const tab of document.querySelectorAll('#memory-tabs [data-tab]')) {
    tab.addEventListener('click', () => showTab(tab.dataset.tab));
  }
  showTab('messages');
}

function showTab(name) {
  for (const tab of document.querySelectorAll('#memory-tabs [data-tab]')) {
    tab.setAttribute('aria-selected', String(tab.dataset.tab === name));
    $(`tab-${tab.dataset.tab}`).hidden = tab.dataset.tab !== name;
  }
}

/** A button for each entry of a page, and one for the next page. */
function entries(place, list, next, chosen, label, choose, more) {
  place.querySelector('.more')?.remove();
  place.append(...list.map((entry) => h('li', {},
    h('button', { type: 'button', data: { id: label(entry) }, 'aria-pressed': String(label(entry) === chosen), onclick: () => choose(label(entry)) },
      h('span', { class: 'name' }, label(entry)), h('small', {}, `${count(entry.messages)} · ${day(entry.last_message_at)}`)))));
  if (next) place.append(h('li', { class: 'more' }, h('button', { type: 'button', onclick: () => more(next) }, 'More')));
}

function press(place, id) {
  for (const button of place.querySelectorAll('button[data-id]')) button.setAttribute('aria-pressed', String(button.dataset.id === id));
}

/** Answers may come out of order: only what was asked last is shown. */
function latest() {
  let number = 0;
  return async (place, question, answer) => {
    const mine = ++number;
    try {
      const value = await question();
      if (mine === number) answer(value);
    } catch (error) {
      if (mine === number) fill(place, failure(error));
    }
  };
}
const askUsers = latest();
const askThreads = latest();
const askMessages = latest();

/** Users whose ids begin with what was typed. */
export async function showUsers() {
  const prefix = $('user').value.trim();
  const page = (after) => askUsers($('users'), () => get('/v1/users', { limit: PAGE, after, prefix }), ({ users, next }) => {
    if (!after) fill($('users'), users.length === 0 && h('li', { class: 'empty' }, prefix ? 'No id begins with it.' : 'There is no user yet.'));
    entries($('users'), users, next, selection.user, (user) => user.user_id, chooseUser, page);
  });
  await page('');
}

async function chooseUser(user) {
  selection.user = user;
  selection.thread = '';
  press($('users'), user);
  clearExplain();
  fill($('messages'), empty('Choose a thread.'));
  $('threads-title').hidden = false;
  const page = (from) => askThreads($('threads'), () => get(userPath(user, 'threads'), { limit: PAGE, after: from }), ({ threads, next }) => {
    if (!from) fill($('threads'), threads.length === 0 && h('li', { class: 'empty' }, 'This user has no messages.'));
    entries($('threads'), threads, next, selection.thread, (thread) => thread.thread_id, chooseThread, page);
    if (!from && threads.length) chooseThread(threads[0].thread_id);
  });
  await page('');
}

function chooseThread(thread) {
  selection.thread = thread;
  press($('threads'), thread);
  showMessages();
}

async function showMessages() {
  const { user, thread, agent } = selection;
  if (!thread) return;
  const page = (before) => askMessages($('messages'), () => get(userPath(user, `threads/${encodeURIComponent(thread)}/messages`),
    { limit: PAGE, before, agent_id: agent }), ({ messages, next }) => {
    if (!before) fill($('messages'), messages.length === 0 && empty('Nothing that may be read.'));
    $('messages').querySelector('.more')?.remove();
    $('messages').append(...messages.map((message) => messageCard(message)));
    if (next) $('messages').append(h('div', { class: 'more' }, h('button', { type: 'button', onclick: () => page(next) }, 'Older messages')));
  });
  await page('');
}

/** Reading as an agent is asked for where there are agents. */
export async function showAgentField() {
  const { enabled } = await get('/v1/multi-agent/stats');
  $('agent-field').hidden = !enabled;
}
