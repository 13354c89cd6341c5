/* Decisions on their way: each stands in localStorage until the server has it, whatever happens to the page or the line. */
window.luthierOutbox = (prefix, changed) => {
  const PATIENCE = [1000, 2000, 5000, 10000, 30000];
  let busy = false;
  let failures = 0;
  let timer = null;
  let state = "idle"; /* idle, sending, offline, signed-out */
  const memory = new Map(); /* where the browser keeps nothing for us, at least for as long as the page lives */

  const read = (key) => {
    try { return localStorage.getItem(key) ?? memory.get(key) ?? null; } catch { return memory.get(key) ?? null; }
  };
  const write = (key, text) => {
    memory.set(key, text);
    try { localStorage.setItem(key, text); } catch { /* full or forbidden: memory has it */ }
  };
  const remove = (key) => {
    memory.delete(key);
    try { localStorage.removeItem(key); } catch { /* it was never there */ }
  };
  const keys = () => {
    const found = new Set(memory.keys());
    try { for (let at = 0; at < localStorage.length; at++) found.add(localStorage.key(at)); } catch { /* memory only */ }
    return [...found].filter((key) => key.startsWith(prefix));
  };
  const entries = () => keys().map((key) => ({ key, ...JSON.parse(read(key) || "{}") })).filter((entry) => entry.url).sort((a, b) => a.stamp - b.stamp);
  const waiting = () => entries().filter((entry) => !entry.refused);
  const tell = () => changed({ state, waiting: waiting(), refused: entries().filter((entry) => entry.refused) });

  /* The cookie is fresher than the page when the person has signed in again in another tab. */
  const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] || document.body.dataset.csrf;
  const post = async (url, body) => {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
      body: JSON.stringify(body),
      credentials: "same-origin",
      signal: AbortSignal.timeout(20000),
    });
    return { status: answer.status, data: await answer.json().catch(() => ({})) };
  };

  let clock = 0;
  const put = (item, url, body) => {
    clock = Math.max(clock + 1, Date.now());
    write(prefix + item, JSON.stringify({ item, url, body, stamp: clock }));
    tell();
    flush();
  };
  const settle = (entry, answer) => {
    if (answer.status < 300) {
      /* Only if nothing newer was said about the row meanwhile. */
      if (JSON.parse(read(entry.key) || "{}").stamp === entry.stamp) remove(entry.key);
      return true;
    }
    if (answer.status === 401 || answer.status === 403) { state = "signed-out"; return false; }
    if (answer.status === 429 || answer.status >= 500) { state = "offline"; return false; }
    const { key, ...kept } = entry;
    if (JSON.parse(read(key) || "{}").stamp === entry.stamp) write(key, JSON.stringify({ ...kept, refused: answer.data.message || `The server answered ${answer.status}.` }));
    return true;
  };
  /* While rows are asked for nothing new is sent: what the server counts as left is then exactly what it was told of. */
  let gate = null;
  const hold = () => {
    let open;
    gate = new Promise((resolve) => { open = resolve; });
    return () => { gate = null; open(); };
  };
  const flush = async () => {
    if (busy) return;
    busy = true;
    clearTimeout(timer);
    for (let entry = waiting()[0]; entry; entry = waiting()[0]) {
      if (gate) {
        await gate;
        continue;
      }
      state = failures ? state : "sending";
      tell();
      let went = false;
      try { went = settle(entry, await post(entry.url, entry.body)); } catch { state = "offline"; }
      if (!went) {
        timer = setTimeout(flush, PATIENCE[Math.min(failures++, PATIENCE.length - 1)]);
        busy = false;
        return tell();
      }
      failures = 0;
      state = "idle";
    }
    busy = false;
    state = "idle";
    tell();
  };
  const again = (key) => {
    const entry = JSON.parse(read(key) || "{}");
    delete entry.refused;
    write(key, JSON.stringify(entry));
    flush();
  };
  const drop = (key) => { remove(key); tell(); };

  window.addEventListener("online", () => { failures = 0; flush(); });
  window.addEventListener("beforeunload", (event) => { if (waiting().length) event.preventDefault(); });
  return { put, post, flush, hold, again, drop, waiting, token, items: () => waiting().map((entry) => entry.item) };
};
