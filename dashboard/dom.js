// Elements without markup: what comes from messages, ids or the server becomes text, never HTML.

export const $ = (id) => document.getElementById(id);

/** An element. Properties: class, data: {...}, on*: listeners, else attributes. Children: text, elements, lists. */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const fill = (element, ...children) =>
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));

/** Sets the text of every element that shows this figure. */
export function show(metric, text) {
  for (const element of document.querySelectorAll(`[data-metric="${metric}"]`)) element.textContent = text;
}

export const chip = (text, kind) => h('span', { class: `chip ${kind ?? ''}`, dir: 'auto' }, text);
export const note = (text) => h('p', { class: 'note' }, text);
export const empty = (text) => h('p', { class: 'empty' }, text);
export const failure = (error) => h('p', { class: 'failure', role: 'alert' }, error.message);

/** Pairs for a dl of facts. */
export const facts = (pairs) => pairs.map(([name, value]) => [h('dt', {}, name), h('dd', { dir: 'auto' }, value)]);

/** A table. Columns: [title, cell of a row, 'number' for one]. */
export function table(columns, rows) {
  const kind = (column) => (column[2] === 'number' ? 'number' : null);
  return h('table', {},
    h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col', class: kind(column) }, column[0])))),
    h('tbody', {}, rows.map((row) => h('tr', {}, columns.map((column) => h('td', { class: kind(column) }, column[1](row)))))));
}

/** One bar of parts: [{label, value, text, color}], with a legend; color is the number of a colour of the style. */
export function bar(parts, total) {
  const sum = total ?? parts.reduce((all, part) => all + part.value, 0);
  const segment = (part) => {
    const element = h('span', { class: `segment color-${part.color}`, title: `${part.label} ${part.text}` });
    element.style.width = `${sum > 0 ? (100 * part.value) / sum : 0}%`;
    return element;
  };
  return h('div', { class: 'bar' },
    h('div', { class: 'track' }, parts.filter((part) => part.value > 0).map(segment)),
    h('ul', { class: 'legend' }, parts.map((part) =>
      h('li', {}, h('i', { class: `color-${part.color}` }), part.label, ' ', h('b', {}, part.text)))));
}
