// Live pages. The server says which topics changed; the sections of the page
// that show them are fetched again and morphed, so that focus and typed text
// stay. Without a connection the page says since when it is stale.

const PAUSE = 300;
const RETRY = 10_000;

let waiting = new Set();
let timer = null;
let busy = false;
let broken = false;
let state = { name: 'off', text: '' };

const time = () => new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: 'Europe/London' }).format(new Date());

function show(name, text) {
  state = { name, text };
  const place = document.getElementById('live');
  if (!place) return;
  place.hidden = false;
  if (place.dataset.state !== name) {
    place.dataset.state = name;
    place.textContent = text;
  }
}

function concerns(section, topics) {
  return topics.has('*') || section.dataset.topics.split(/\s+/).some((topic) => topics.has(topic));
}

function expect(topics) {
  for (const topic of topics) waiting.add(topic);
  if (timer === null && !busy && !document.hidden) timer = setTimeout(refresh, PAUSE);
}

async function refresh() {
  timer = null;
  const topics = waiting;
  waiting = new Set();
  const sections = [...document.querySelectorAll('[data-topics][id]')].filter((section) => concerns(section, topics));
  if (sections.length === 0) return;
  busy = true;
  const address = location.href;
  try {
    const answer = await fetch(address, { headers: { 'x-counterfoil-refresh': '1', accept: 'text/html' } });
    if (answer.redirected && new URL(answer.url).pathname === '/sign-in') {
      location.assign(answer.url);
      return;
    }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const text = await answer.text();
    // The person has moved on meanwhile: what came is of another page.
    if (location.href !== address) return;
    const fresh = new DOMParser().parseFromString(text, 'text/html');
    const stamp = fresh.getElementById('as-at');
    if (stamp) document.getElementById('as-at')?.replaceChildren(...stamp.childNodes);
    for (const section of sections) {
      if (!section.isConnected || !fresh.getElementById(section.id)) continue;
      await htmx.swap({
        text,
        sourceElement: section,
        target: section,
        select: `#${CSS.escape(section.id)}`,
        swap: 'outerMorph ignoreTitle:true',
      });
    }
    if (!broken) show('live', 'live');
  } catch {
    show('stale', `stale since ${time()}`);
    // What was not seen is asked for again, but no sooner than a server that is
    // down can bear.
    for (const topic of topics) waiting.add(topic);
    timer = setTimeout(refresh, RETRY);
  } finally {
    busy = false;
    if (waiting.size > 0) expect([]);
  }
}

function connect() {
  // From where the page was made: what changed since then is told first. A
  // browser that comes back by itself goes on from the last that it heard.
  const since = document.getElementById('live').dataset.since;
  const source = new EventSource(`/api/v1/events?since=${encodeURIComponent(since)}`);
  source.addEventListener('hello', () => {
    broken = false;
    show('live', 'live');
  });
  source.addEventListener('notice', (event) => {
    try {
      expect(JSON.parse(event.data).topics);
    } catch {
      expect(['*']);
    }
  });
  source.addEventListener('error', () => {
    // The server ends a stream now and then and the browser comes straight
    // back: stale is what stays away longer.
    broken = true;
    setTimeout(() => {
      if (broken) show('stale', `stale since ${time()}`);
    }, 4000);
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY);
  });
  addEventListener('pagehide', () => source.close(), { once: true });
}

export function start() {
  if (!document.getElementById('live')) return;
  connect();
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && waiting.size > 0) expect([]);
  });
  document.addEventListener('htmx:after:settle', () => show(state.name, state.text));
  // An import that has just begun may be over before its notice finds us.
  setInterval(() => {
    if (document.querySelector('[data-poll]')) expect(['*']);
  }, 2000);
}
