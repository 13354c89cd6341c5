/* A part of the page that is replaced by its next state keeps what the reader did to it: what was opened or folded, how
   far boxes were scrolled, and where the keyboard is. (Charts keep their zoom themselves; htmx keeps focus by id.) */
(() => {
  const SCROLLED = ".table-responsive, pre";
  const NAMED = ["data-dialog", "href", "action", "name", "data-copy", "data-hint"];

  /* Where an element without an id stands: what it is and does, its place among the like, and what has an id around it. */
  const keyOf = (element) => {
    if (element.id) return `#${element.id}`;
    const home = element.parentElement?.closest("[id]");
    const name = NAMED.find((one) => element.hasAttribute(one));
    const like = element.localName + (name ? `[${name}="${CSS.escape(element.getAttribute(name))}"]` : "");
    return `${home?.id || ""} ${like} ${[...(home || document).querySelectorAll(like)].indexOf(element)}`;
  };
  const find = (key) => {
    if (key.startsWith("#")) return document.getElementById(key.slice(1));
    const [home, like, place] = key.match(/^(\S*) (.*) (\d+)$/s).slice(1);
    return (home ? document.getElementById(home) : document)?.querySelectorAll(like)[Number(place)];
  };

  const folds = new Map(); /* of every <details> that was opened or folded on this page */
  document.addEventListener("toggle", (event) => {
    if (event.target.localName === "details") folds.set(keyOf(event.target), event.target.open);
  }, true);

  let scrolled = [], focused = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (!event.detail.shouldSwap || !part) return;
    const boxes = [...part.querySelectorAll(SCROLLED)].filter((box) => box.scrollTop || box.scrollLeft);
    scrolled = boxes.map((box) => [keyOf(box), box.scrollTop, box.scrollLeft]);
    const active = document.activeElement;
    focused = active && active !== part && part.contains(active) ? keyOf(active) : null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [key, open] of folds) {
      const fold = find(key);
      if (fold?.localName === "details" && fold.open !== open) fold.open = open;
    }
    for (const [key, top, left] of scrolled) find(key)?.scrollTo({ top, left, behavior: "instant" });
    if (focused && (!document.activeElement || document.activeElement === document.body)) find(focused)?.focus({ preventScroll: true });
    scrolled = [];
    focused = null;
  });
})();
