// How figures are written.

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export const count = (value) => whole.format(value);

/** "1 user", "2 users". */
export const many = (value, thing) => `${count(value)} ${thing}${value === 1 ? '' : 's'}`;

/** Of a second: 0, 0.25, 12.5, 1,250; a dash when it is not known. */
export function rate(value) {
  if (value === null || value === undefined) return '–';
  if (value >= 100) return count(value);
  return value >= 10 ? value.toFixed(1) : value === 0 ? '0' : value.toFixed(2);
}

/** Milliseconds as "0.025 ms", "1.50 ms", "12.5 ms", "250 ms", "1.25 s". */
export function milliseconds(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return `${value.toFixed(value === 0 ? 0 : digits)} ms`;
}

export function duration(seconds) {
  if (seconds < 1) return seconds === 0 ? '0 s' : `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export const perSecond = (value) => (value === null ? '–' : `${rate(value)} /s`);

export const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share === 0 ? 0 : 1)}%`;

export const dollars = (value) => `$${value.toFixed(value === 0 || value >= 1 ? 2 : value < 0.01 ? 6 : 4)}`;

/** For the axis of a chart: no more digits than tell its ticks apart. */
export const tick = (value) => (value >= 1000 ? whole.format(value) : String(Number(value.toPrecision(3))));

const two = (value) => String(value).padStart(2, '0');

export const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;

/** A time of the API in the reader's zone: "2026-01-31 12:00". */
export function time(text) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

export const day = (text) => time(text).slice(0, 10);

/** "ask_question" as people read it. */
export const words = (name) => name.replaceAll('_', ' ');
