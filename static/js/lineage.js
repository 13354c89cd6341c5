/* The lineage drawing: one stop of the Tab key, arrow keys from node to node, the chosen node shown beside it. */
(() => {
  const drawing = document.querySelector(".lineage-svg");
  if (!drawing) return;
  const nodes = [...drawing.querySelectorAll("[data-node]")];
  const lines = [...drawing.querySelectorAll(".lineage-line")];
  const named = new Map(nodes.map((node) => [node.dataset.node, node]));

  const stop = (node) => {
    nodes.forEach((one) => one.setAttribute("tabindex", one === node ? "0" : "-1"));
    lines.forEach((line) => line.classList.toggle("is-near", line.dataset.source === node?.dataset.node || line.dataset.target === node?.dataset.node));
  };
  const near = (node, from, to) => {
    const found = lines.find((line) => line.dataset[from] === node.dataset.node && named.has(line.dataset[to]));
    return found && named.get(found.dataset[to]);
  };
  const beside = (node, step) => {
    const layer = nodes.filter((one) => one.dataset.layer === node.dataset.layer);
    return layer[layer.indexOf(node) + step];
  };
  const MOVES = {
    ArrowRight: (node) => near(node, "source", "target"),
    ArrowLeft: (node) => near(node, "target", "source"),
    ArrowDown: (node) => beside(node, 1),
    ArrowUp: (node) => beside(node, -1),
    Home: () => nodes[0],
    End: () => nodes[nodes.length - 1],
  };

  drawing.addEventListener("keydown", (event) => {
    const node = event.target.closest?.("[data-node]");
    if (!node || !MOVES[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const next = MOVES[event.key](node);
    if (next) { stop(next); next.focus(); next.scrollIntoView({ block: "nearest", inline: "nearest" }); }
  });
  drawing.addEventListener("focusin", (event) => { const node = event.target.closest?.("[data-node]"); if (node) stop(node); });

  /* A click looks at a node without loading the page; with a modifier, or without htmx, it is the link it is. */
  const look = (name, href) => {
    document.querySelectorAll(".lineage .is-selected").forEach((one) => { one.classList.remove("is-selected"); one.removeAttribute("aria-current"); one.querySelector?.(":scope > a")?.removeAttribute("aria-current"); });
    const node = named.get(name);
    if (node) { node.classList.add("is-selected"); node.setAttribute("aria-current", "true"); stop(node); }
    document.querySelectorAll("[data-look]").forEach((link) => {
      if (link.dataset.look === name) { link.setAttribute("aria-current", "true"); link.parentElement.classList.add("is-selected"); }
    });
    history.replaceState(history.state, "", href);
    window.htmx.ajax("GET", href, { source: "#lineage-node", target: "#lineage-node" });
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-node], [data-look]");
    if (!link || !window.htmx || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    look(link.dataset.node || link.dataset.look, link.getAttribute("href"));
  });

  const chosen = drawing.querySelector(".is-selected") || drawing.querySelector(".is-focus");
  if (nodes.length) stop(chosen || nodes[0]);
  if (!chosen) lines.forEach((line) => line.classList.remove("is-near"));
  else {
    const box = chosen.querySelector(".lineage-box"), frame = drawing.parentElement;
    frame.scrollTo(box.x.baseVal.value - frame.clientWidth / 3, box.y.baseVal.value - frame.clientHeight / 3);
  }
})();
