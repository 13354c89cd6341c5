/* Picking runs to compare: kept for the tab, so that it survives paging, filtering and sorting. */
(() => {
  const MOST = 100;
  const bar = document.getElementById("run-picked");
  if (!bar) return;
  const key = `luthier-picked-${bar.dataset.key}`;
  const read = () => {
    try { return JSON.parse(sessionStorage.getItem(key)) || []; } catch { return []; }
  };
  let picked = read();

  const show = () => {
    bar.hidden = picked.length === 0;
    bar.querySelector("[data-picked-count]").textContent = picked.length;
    const go = bar.querySelector("[data-picked-go]");
    go.href = `${bar.dataset.compare}?runs=${picked.join(",")}`;
    go.classList.toggle("disabled", picked.length < 2);
    go.setAttribute("aria-disabled", String(picked.length < 2));
    document.querySelectorAll("[data-pick]").forEach((box) => {
      box.checked = picked.includes(box.dataset.pick);
      box.disabled = !box.checked && picked.length >= MOST;
    });
  };
  const keep = (list) => {
    picked = list;
    try { sessionStorage.setItem(key, JSON.stringify(picked)); } catch { /* a tab without storage forgets on reload */ }
    show();
  };

  let last = null;
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.("[data-pick]");
    if (box) {
      /* With Shift, everything between this one and the last one. */
      const all = [...document.querySelectorAll("[data-pick]")];
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((one, other) => one - other);
      const chosen = event.shiftKey && from >= 0 ? all.slice(from, to + 1) : [box];
      const names = chosen.map((one) => one.dataset.pick);
      keep((box.checked ? [...new Set([...picked, ...names])] : picked.filter((name) => !names.includes(name))).slice(0, MOST));
      last = box;
    }
    if (event.target.closest?.("[data-picked-clear]")) keep([]);
    const go = event.target.closest?.("[data-picked-go]");
    if (go && picked.length < 2) event.preventDefault();
  });
  document.addEventListener("htmx:load", show);
  window.addEventListener("pageshow", () => { picked = read(); show(); });
  show();
})();
