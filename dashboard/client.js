// Requests to the server that the page came from. The key lives in this tab's sessionStorage and in a header.
import { $ } from './dom.js';

const KEY = 'mindcore.key';
const READ_MS = 20000;
const WORK_MS = 120000; // what asks a model or counts everything may take its time

/** What came instead of an answer; status 0: nothing did. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Asks once for a key, however many requests were refused; resolves when there is one to try. */
let asking = null;
export function askForKey(text) {
  asking ??= new Promise((resolve) => {
    const dialog = $('key-dialog');
    $('key-note').textContent = text;
    $('key').value = '';
    const done = () => {
      asking = null;
      resolve();
    };
    dialog.addEventListener('close', done, { once: true });
    if (!dialog.open) dialog.showModal();
  });
  return asking;
}

export function prepareKeyDialog(onChange) {
  const change = (set) => {
    set();
    $('key-dialog').close();
    onChange();
  };
  $('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const value = $('key').value.trim();
    $('key').value = '';
    change(() => sessionStorage.setItem(KEY, value));
  });
  $('key-forget').addEventListener('click', () => change(() => sessionStorage.removeItem(KEY)));
  $('key-button').addEventListener('click', () =>
    askForKey(sessionStorage.getItem(KEY) ? 'Another key for this server.' : 'Needed where the server has keys.'));
}

async function problem(response) {
  let text = `${response.status} ${response.statusText}`;
  try {
    text = (await response.json()).detail ?? text;
  } catch {
    // Not ours: a proxy's page. The status has to do.
  }
  return new Refused(response.status, text);
}

async function exchange(path, options, patience) {
  try {
    return await fetch(path, { ...options, credentials: 'same-origin', redirect: 'error', signal: AbortSignal.timeout(patience) });
  } catch {
    throw new Refused(0, 'The server does not answer; trying again.');
  }
}

async function send(path, options, patience) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await exchange(path, { ...options, headers }, patience);
  // Not where another key is there by now: who was refused without it asks again.
  if (response.status === 401 && key === sessionStorage.getItem(KEY)) {
    askForKey(key ? 'The server does not know this key.' : 'This server asks for a key.');
  }
  // An unhealthy server says why in the same form.
  if (!response.ok && !(path === '/health' && response.status === 503)) throw await problem(response);
  return response;
}

const withQuery = (path, query) => {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
};

export const get = async (path, query) => (await send(withQuery(path, query), {}, READ_MS)).json();
export const text = async (path) => (await send(path, {}, READ_MS)).text();
export const post = async (path, body) =>
  (await send(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }, WORK_MS)).json();

export const userPath = (user, rest) => `/v1/users/${encodeURIComponent(user)}/${rest}`;
