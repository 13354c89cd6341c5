/* The review queue: one row at a time, the next ones already here, verdicts by key, button or swipe. */
(() => {
  const root = document.getElementById("review");
  if (!root) return;
  const { round, person, take, items: api, ahead } = root.dataset;
  const part = (name) => root.querySelector(`[data-${name}]`);
  const [list, end, saving, trouble, blocked, count] = ["list", "end", "saving", "trouble", "blocked", "count"].map(part);
  const panels = { fix: part("fix"), reject: part("reject"), comment: part("comment") };
  const DONE = { accept: "Accepted", fix: "Fixed", swap: "Turned round", reject: "Rejected", skip: "Skipped" };
  const IDLE = 120000;
  const rows = []; /* {id, node, verdict, body, seconds} in the order they came */
  const order = []; /* ids in the order they were decided, for undo */
  let at = -1;
  let left = Number(root.dataset.left);
  let skipped = Number(root.dataset.skipped);
  let since = 0; /* rows decided here since the server was asked how many are left */
  let asking = false;
  let dry = false; /* the server had nothing more when it was last asked */
  let unheard = ""; /* said before the next row was here; a screen reader may have lost it to what came after */

  const announce = (text) => {
    const place = document.getElementById("announcer");
    place.textContent = "";
    requestAnimationFrame(() => { place.textContent = text.trim(); });
  };
  const number = (n) => n.toLocaleString("en").replaceAll(",", "\u202f");
  const rowsLeft = (n) => (n === 1 ? "1 row waits" : `${number(n)} rows wait`);

  /* ---- What is kept until the server has it ---- */
  const line = (...parts) => {
    const box = document.createElement("p");
    box.append(...parts);
    return box;
  };
  const button = (text, act) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm", textContent: text });
    made.addEventListener("click", act);
    return made;
  };
  let told = "";
  const outbox = window.luthierOutbox(`luthier-review:${person}:${round}:`, ({ state, waiting, refused }) => {
    const n = waiting.length;
    const rowsOf = n === 1 ? "1 decision" : `${n} decisions`;
    const words = { idle: n ? `Saving ${rowsOf} …` : "Everything is saved", sending: `Saving ${rowsOf} …` };
    saving.textContent = words[state] || `${rowsOf} not saved yet`;
    saving.classList.toggle("is-waiting", n > 0);
    const problems = [];
    if (n && state === "offline") problems.push(line(`No connection. ${rowsOf} ${n === 1 ? "is" : "are"} kept in this browser and sent when the line is back.`));
    if (n && state === "signed-out") problems.push(line(`You are signed out, or may not review here any more. ${rowsOf} ${n === 1 ? "is" : "are"} kept in this browser: sign in in another tab. `, button("Try again", () => outbox.flush())));
    for (const entry of refused) {
      problems.push(line(`A decision was refused: ${entry.refused} `, button("Try again", () => outbox.again(entry.key)), " ", button("Throw it away", () => outbox.drop(entry.key))));
    }
    trouble.replaceChildren(...problems);
    trouble.hidden = !problems.length;
    const say = problems.map((one) => one.firstChild.textContent).join(" ");
    if (say && say.slice(0, 20) !== told.slice(0, 20)) announce(say);
    told = say;
  });

  /* ---- Time: the page's own measure, for when the server hears nothing ---- */
  let touched = performance.now();
  let alive = false;
  const touch = () => {
    const now = performance.now();
    if (rows[at]) rows[at].seconds += Math.min(now - touched, IDLE) / 1000;
    touched = now;
    alive = true;
  };
  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) addEventListener(kind, touch, { passive: true });
  const beat = async () => {
    const row = rows[at];
    if (!row || row.verdict || !alive || document.hidden) return;
    alive = false;
    const known = new Set(rows.filter((one) => !one.verdict)); /* what comes meanwhile is not in the answer */
    try {
      const answer = await outbox.post(`${api}${row.id}/show/`, {});
      if (answer.status === 200) letGo(known, new Set(answer.data.held));
    } catch { /* the next one may get through */ }
  };
  setInterval(beat, 30000);
  /* After a long pause others may have got what was held. */
  const letGo = (known, held) => {
    const mine = new Set(outbox.items().map(String));
    const lost = rows.filter((row) => known.has(row) && !row.verdict && !held.has(Number(row.id)) && !mine.has(row.id));
    if (!lost.length) return;
    const current = rows[at];
    for (const row of lost) { row.node.remove(); rows.splice(rows.indexOf(row), 1); }
    if (lost.includes(current)) {
      at = -1;
      forward("Somebody else has got that row meanwhile.");
    } else at = rows.indexOf(current);
  };

  /* ---- Rows come ---- */
  const undecided = () => rows.filter((row) => !row.verdict).length;
  const bring = async (again = false, forced = again) => {
    if (asking || (!forced && (dry || undecided() >= Number(ahead)))) return;
    asking = true;
    const known = [...rows.filter((row) => !row.verdict).map((row) => row.id), ...outbox.items()];
    const body = new URLSearchParams({ number: Math.max(1, Number(ahead) - undecided()), having: [...new Set(known)].join(",") });
    if (again) body.set("skipped", "yes");
    body.set("pending", outbox.items().join(","));
    since = 0;
    const release = outbox.hold();
    try {
      const answer = await fetch(take, { method: "POST", body, headers: { "X-CSRFToken": outbox.token(), "HX-Request": "true" }, signal: AbortSignal.timeout(20000) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok && !answer.redirected) receive(page);
      else closed(page, answer.redirected ? 403 : answer.status);
    } catch {
      if (!undecided()) {
        blocked.hidden = false;
        blocked.replaceChildren(line("No connection: the next rows come when the line is back."));
      }
      setTimeout(() => { asking = false; bring(again); }, 5000);
      return;
    } finally {
      release();
    }
    asking = false;
    if (undecided() && (!rows[at] || (rows[at].verdict && !again && at === rows.length - 1))) forward(unheard);
    draw();
    if (!dry && undecided() < Number(ahead)) return bring();
    if (!end.hidden) { end.focus({ preventScroll: true }); announce("Nothing is left for you."); }
  };
  const receive = (page) => {
    const found = page.querySelector("[data-left]");
    if (!found) return closed(page, 200);
    const before = rows.length;
    blocked.hidden = true;
    left = Math.max(0, Number(found.dataset.left) - since);
    skipped = Number(found.dataset.skipped);
    for (const node of found.querySelectorAll("[data-item]")) {
      const id = node.dataset.item;
      const old = rows.findIndex((row) => row.id === id);
      if (old >= 0 && !rows[old].verdict) continue;
      if (old >= 0) { rows[old].node.remove(); rows.splice(old, 1); if (old <= at) at--; }
      const own = document.adoptNode(node);
      list.append(own);
      rows.push({ id, node: own, verdict: "", body: null, comment: "", seconds: 0 });
    }
    dry = rows.length === before;
    part("waiting")?.remove();
    draw();
  };
  const closed = (page, status) => {
    part("waiting")?.remove();
    const text = page.querySelector(".refusal, .notice")?.textContent.replace(/\s+/g, " ").trim();
    blocked.hidden = false;
    dry = true;
    blocked.replaceChildren(line(status === 403 ? "You are signed out, or may not review here. Reload the page." : text || "The next rows could not be brought. Reload the page."));
    announce(blocked.textContent);
  };

  /* ---- Moving between rows ---- */
  const draw = () => {
    count.textContent = `${rowsLeft(left)} for you`;
    const nothing = !rows[at];
    end.hidden = !nothing || asking || Boolean(part("waiting"));
    end.querySelector("[data-do=skipped]").hidden = !skipped && !rows.some((row) => row.verdict === "skip");
    root.classList.toggle("is-empty", nothing);
    for (const name of ["accept", "fix", "swap", "reject", "skip", "comment"]) {
      const one = root.querySelector(`[data-do=${name}]`);
      if (one) one.disabled = nothing;
    }
    root.querySelector("[data-do=undo]").disabled = !order.length;
    root.querySelector("[data-do=previous]").disabled = nothing ? !rows.length : at === 0;
    root.querySelector("[data-do=next]").disabled = nothing || at >= rows.length - 1;
  };
  const show = (index, before = "") => {
    touch();
    close();
    if (rows[at]) rows[at].node.hidden = true;
    at = rows[index] ? index : -1;
    const row = rows[at];
    draw();
    if (!row) {
      unheard = before;
      bring();
      announce(`${before} ${end.hidden ? "The next row is on its way." : "Nothing is left for you."}`);
      if (!end.hidden) end.focus({ preventScroll: true });
      return;
    }
    unheard = "";
    row.node.hidden = false;
    mark(row);
    window.scrollTo({ top: Math.max(0, root.getBoundingClientRect().top + scrollY - 12) });
    row.node.focus({ preventScroll: true });
    announce(`${before} ${row.node.querySelector("h2").textContent}. ${row.verdict ? `You: ${DONE[row.verdict]}.` : `${rowsLeft(left)}.`}`);
    if (!row.verdict) { alive = true; beat(); }
    bring();
  };
  const forward = (before = "") => {
    let next = rows.findIndex((row, index) => index > at && !row.verdict);
    if (next < 0) next = rows.findIndex((row) => !row.verdict);
    show(next, before);
  };
  const mark = (row) => {
    const place = row.node.querySelector("[data-mine]");
    place.hidden = !row.verdict && !row.comment;
    place.textContent = [row.verdict && `You: ${DONE[row.verdict]}${row.body?.reason ? ` (${row.body.reason})` : ""}`, row.comment && `“${row.comment}”`].filter(Boolean).join(" · ");
  };

  /* ---- Deciding ---- */
  const decide = (verdict, more = {}) => {
    const row = rows[at];
    if (!row) return;
    touch();
    const next = rows.find((other, index) => index !== at && !other.verdict);
    const fresh = !row.verdict;
    row.verdict = verdict;
    row.body = { verdict, ...more };
    if (fresh) {
      left = Math.max(0, left - 1);
      since++;
    }
    order.push(row.id);
    outbox.put(row.id, `${api}${row.id}/decide/`, { verdict, comment: row.comment, seconds: Math.round(row.seconds * 10) / 10, ...more, ...(next ? { showing: Number(next.id) } : {}) });
    row.seconds = 0;
    forward(`${DONE[verdict]}.`);
    while (rows.length > 60 && rows[0].verdict && at > 0) { rows.shift().node.remove(); at--; }
  };
  const undo = () => {
    const id = order.pop();
    const index = rows.findIndex((row) => row.id === id);
    if (index < 0) return announce("There is nothing to undo on this page.");
    const row = rows[index];
    row.verdict = "";
    row.body = null;
    left++;
    since--;
    outbox.put(id, `${api}${id}/undo/`, {});
    show(index, "Undone.");
  };

  /* ---- Panels below the answer ---- */
  const editor = window.luthierEditor(panels.fix);
  const close = () => Object.values(panels).forEach((panel) => { panel.hidden = true; });
  const open = (name) => {
    const row = rows[at];
    if (!row) return;
    const already = !panels[name].hidden;
    close();
    if (already) return row.node.focus({ preventScroll: true });
    const panel = panels[name];
    row.node.querySelector("[data-panel]").append(panel);
    panel.hidden = false;
    if (name === "fix") editor.open(original(row), row.body?.verdict === "fix" ? row.body.answer : undefined);
    const field = panel.querySelector("input, textarea");
    if (name === "reject") {
      field.value = row.body?.reason || "";
      panel.querySelector("button").focus();
    }
    if (name === "comment") {
      field.value = row.comment;
      field.focus();
    }
    panel.scrollIntoView({ block: "nearest" });
  };
  const original = (row) => JSON.parse(row.node.querySelector("script[type='application/json']").textContent);
  panels.fix.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = editor.broken();
    if (wrong) return announce(wrong);
    if (editor.unchanged()) return announce("The answer is as it was. Change it, or accept the row.");
    decide("fix", { answer: editor.value() });
  });
  const reject = (reason) => {
    const text = reason.trim();
    if (text) return decide("reject", { reason: text });
    announce("Say why: choose a reason or write your own.");
    panels.reject.querySelector("input").focus();
  };
  panels.reject.addEventListener("submit", (event) => { event.preventDefault(); reject(panels.reject.querySelector("input").value); });
  panels.reject.addEventListener("click", (event) => { const chosen = event.target.closest("[data-reason]"); if (chosen) reject(chosen.dataset.reason); });
  panels.comment.addEventListener("submit", (event) => {
    event.preventDefault();
    const row = rows[at];
    row.comment = panels.comment.querySelector("textarea").value.trim();
    close();
    mark(row);
    /* On a row that is decided already it goes along with that verdict at once. */
    if (row.verdict) outbox.put(row.id, `${api}${row.id}/decide/`, { ...row.body, comment: row.comment, seconds: 0 });
    row.node.focus({ preventScroll: true });
    announce(row.verdict ? "Comment kept." : "Comment kept; it goes along with your verdict.");
  });

  const acts = {
    accept: () => decide("accept"), swap: () => "pairs" in root.dataset && decide("swap"), skip: () => decide("skip"),
    fix: () => open("fix"), reject: () => open("reject"), comment: () => open("comment"), undo,
    close: () => { close(); rows[at]?.node.focus({ preventScroll: true }); },
    next: () => at >= 0 && at < rows.length - 1 && show(at + 1),
    previous: () => rows.length && at !== 0 && show(at < 0 ? rows.length - 1 : at - 1),
    skipped: () => bring(true), more: () => bring(false, true),
  };
  root.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-do]");
    if (pressed && !pressed.disabled) acts[pressed.dataset.do]();
  });

  /* ---- Keys, and what a person has switched off ---- */
  const setting = (name) => document.querySelector(`[data-setting=${name}]`);
  for (const box of document.querySelectorAll("[data-setting]")) {
    const key = `luthier-review-${box.dataset.setting}`;
    try { if (localStorage.getItem(key)) box.checked = localStorage.getItem(key) === "on"; } catch { /* as it stands */ }
    box.addEventListener("change", () => { try { localStorage.setItem(key, box.checked ? "on" : "off"); } catch { /* for this page only */ } });
  }
  const KEYS = { a: "accept", w: "swap", f: "fix", r: "reject", s: "skip", c: "comment", u: "undo", j: "next", k: "previous", ArrowRight: "next", ArrowLeft: "previous" };
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && Object.values(panels).some((panel) => !panel.hidden)) return acts.close();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && typing?.form) return event.preventDefault(), typing.form.requestSubmit();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !setting("keys").checked) return;
    if (event.key === "?") return event.preventDefault(), document.getElementById("review-help").showModal();
    if (!panels.reject.hidden && /^[1-9]$/.test(event.key)) {
      const chosen = panels.reject.querySelector(`[data-digit="${event.key}"]`);
      if (chosen) return event.preventDefault(), reject(chosen.dataset.reason);
    }
    const scrolls = event.target.closest?.("[tabindex='0'], pre");
    const name = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!name || (scrolls && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    acts[name]();
  });

  let from = null;
  list.addEventListener("touchstart", (event) => {
    const one = event.touches.length === 1 && !event.target.closest("pre, textarea, input, button, details, .review-long");
    from = one && setting("swipe").checked ? event.touches[0] : null;
  }, { passive: true });
  list.addEventListener("touchend", (event) => {
    if (!from) return;
    const to = event.changedTouches[0];
    const [across, down] = [to.clientX - from.clientX, Math.abs(to.clientY - from.clientY)];
    from = null;
    if (Math.abs(across) > 110 && down < 50) acts[across > 0 ? "accept" : "reject"]();
  }, { passive: true });

  draw();
  outbox.flush();
  bring();
})();
