/* The legend beside a chart of many runs: finds them by name, hides and shows them, and draws one strong under the pointer. */
(() => {
  const areaOf = (legend) => document.getElementById(legend.dataset.legend);
  const boxes = (legend) => [...legend.querySelectorAll("[data-run]")];
  const traces = (area, run) => (area?.data || []).flatMap((trace, at) => (String(trace.meta) === run ? [at] : []));

  /* What is hidden stands in the form and in the address, so that a reload and a sent link show the same. */
  const remember = (legend) => {
    const form = legend.closest("form"), field = form?.querySelector("[data-hide]");
    if (!field) return;
    field.value = boxes(legend).filter((box) => !box.checked).map((box) => box.dataset.run).join(",");
    const query = new URLSearchParams([...new FormData(form)].filter(([name, value]) => value && !(name === "smooth" && value === "0")));
    history.replaceState(history.state, "", `?${query.toString().replaceAll("%2C", ",")}`);
  };
  const show = (legend) => {
    const area = areaOf(legend);
    const shown = new Map(boxes(legend).map((box) => [box.dataset.run, box.checked]));
    if (area?.data) window.Plotly.restyle(area, { visible: area.data.map((trace) => shown.get(String(trace.meta)) ?? true) });
    remember(legend);
  };
  const strong = (legend, run) => {
    const area = areaOf(legend);
    if (!area?.data) return;
    const mine = run ? traces(area, run) : [];
    window.Plotly.restyle(area, { opacity: area.data.map((_, at) => (!mine.length || mine.includes(at) ? 1 : 0.12)) });
  };

  document.addEventListener("change", (event) => {
    const box = event.target.closest?.("[data-run]");
    if (!box) return;
    event.stopPropagation(); /* nothing has to be fetched for it */
    show(box.closest("[data-legend]"));
  }, true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-legend-all], [data-legend-none]");
    if (!button) return;
    const legend = button.closest("[data-legend]");
    boxes(legend).forEach((box) => { if (!box.closest("li").hidden) box.checked = button.hasAttribute("data-legend-all"); });
    show(legend);
  });
  document.addEventListener("input", (event) => {
    const slider = event.target.closest?.("input[type=range][id]");
    if (slider) document.querySelectorAll(`[data-of="${slider.id}"]`).forEach((out) => { out.textContent = Number(slider.value).toFixed(2); });
    const find = event.target.closest?.("[data-legend-find]");
    if (!find) return;
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const legend = find.closest("[data-legend]");
    let left = 0;
    legend.querySelectorAll("li").forEach((item) => {
      item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word));
      left += !item.hidden;
    });
    legend.querySelector(".legend-none").hidden = left > 0;
  });
  document.addEventListener("change", (event) => {
    if (event.target.closest?.("[data-legend-find]")) event.stopPropagation();
  }, true);
  for (const type of ["mouseover", "focusin"]) {
    document.addEventListener(type, (event) => {
      const item = event.target.closest?.(".legend-item");
      if (item) strong(item.closest("[data-legend]"), item.querySelector("[data-run]").dataset.run);
    });
  }
  for (const type of ["mouseout", "focusout"]) {
    document.addEventListener(type, (event) => {
      const item = event.target.closest?.(".legend-item");
      if (item && !item.contains(event.relatedTarget)) strong(item.closest("[data-legend]"), "");
    });
  }
})();
