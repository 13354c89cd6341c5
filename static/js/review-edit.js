/* The editor of a fix: grows with its text, shows what changes, and keeps JSON answers JSON. */
window.luthierEditor = (form) => {
  const area = form.querySelector("textarea");
  const note = form.querySelector("[data-json]");
  const shown = form.querySelector("[data-diff]");
  const MOST = 4e6; /* cells of the table that compares words; beyond it only the outer sameness is cut off */
  let original = "";
  let shape = null;

  const object = (text) => {
    try {
      const value = JSON.parse(text);
      return value && typeof value === "object" ? value : null;
    } catch { return null; }
  };
  const grow = () => {
    area.rows = Math.min(40, Math.max(3, area.value.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / 90), 0)));
  };

  /* [kind, text] pieces, where kind is same, del or ins: the longest common run of words. */
  const diff = (before, after) => {
    const cut = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) || [];
    const a = cut(before);
    const b = cut(after);
    let start = 0;
    while (start < a.length && start < b.length && a[start] === b[start]) start++;
    let end = 0;
    while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
    const left = a.slice(start, a.length - end);
    const right = b.slice(start, b.length - end);
    const pieces = [["same", a.slice(0, start).join("")]];
    if (left.length * right.length > MOST) pieces.push(["del", left.join("")], ["ins", right.join("")]);
    else pieces.push(...walk(left, right));
    pieces.push(["same", a.slice(a.length - end).join("")]);
    return pieces.filter(([, text]) => text);
  };
  const walk = (a, b) => {
    const wide = b.length + 1;
    const table = new Uint32Array((a.length + 1) * wide);
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        table[i * wide + j] = a[i] === b[j] ? table[(i + 1) * wide + j + 1] + 1 : Math.max(table[(i + 1) * wide + j], table[i * wide + j + 1]);
      }
    }
    const pieces = [];
    const add = (kind, text) => {
      const last = pieces[pieces.length - 1];
      if (last && last[0] === kind) last[1] += text;
      else pieces.push([kind, text]);
    };
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) { add("same", a[i++]); j++; }
      else if (j >= b.length || (i < a.length && table[(i + 1) * wide + j] >= table[i * wide + j + 1])) add("del", a[i++]);
      else add("ins", b[j++]);
    }
    return pieces;
  };

  const AROUND = 160; /* characters of sameness that are shown around a change */
  const shorten = (text, first, last) => {
    if (text.length <= AROUND * 2) return text;
    if (first) return `…${text.slice(-AROUND)}`;
    return last ? `${text.slice(0, AROUND)}…` : `${text.slice(0, AROUND)} … ${text.slice(-AROUND)}`;
  };
  const draw = () => {
    shown.replaceChildren();
    if (area.value === original) return;
    const pieces = diff(original, area.value);
    pieces.forEach(([kind, text], at) => {
      if (kind === "same") return shown.append(shorten(text, at === 0, at === pieces.length - 1));
      const mark = document.createElement(kind);
      mark.textContent = text;
      shown.append(mark);
    });
  };
  const keysOf = (value) => (Array.isArray(value) ? [] : Object.keys(value));
  const problem = () => {
    if (!area.value.trim()) return ["failed", "Write the answer, or reject the row."];
    if (!shape) return null;
    try { JSON.parse(area.value); } catch (error) { return ["failed", `Not valid JSON: ${error.message}`]; }
    const value = object(area.value);
    if (!value || Array.isArray(value) !== Array.isArray(shape)) return ["failed", "The answer was a JSON " + (Array.isArray(shape) ? "list" : "object") + " and has to stay one."];
    const gone = keysOf(shape).filter((key) => !(key in value));
    const more = keysOf(value).filter((key) => !(key in shape));
    if (gone.length) return ["attention", `Valid JSON, but without “${gone.join("”, “")}”.`];
    return more.length ? ["attention", `Valid JSON, with “${more.join("”, “")}” besides.`] : ["succeeded", "Valid JSON, with the same fields."];
  };
  const check = () => {
    const found = problem();
    note.className = `review-json${found ? ` tone-${found[0]}` : ""}`;
    note.textContent = found ? found[1] : "";
    area.setAttribute("aria-invalid", String(found?.[0] === "failed"));
    grow();
    draw();
  };
  let soon = null;
  area.addEventListener("input", () => { grow(); clearTimeout(soon); soon = setTimeout(check, 120); });
  return {
    open: (text, now) => {
      original = text;
      shape = object(text);
      area.value = now ?? text;
      check();
      area.focus();
    },
    value: () => area.value,
    unchanged: () => area.value === original,
    broken: () => { check(); return problem()?.[0] === "failed" ? problem()[1] : ""; },
  };
};
