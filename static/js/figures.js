/* Draws every [data-figure] with Plotly in the colours of the page, again after htmx swaps and theme changes. */
(() => {
  const PLOTLY = document.currentScript.dataset.plotly;
  /* Plotly's bundle carries map styles that we never use; finding this id it does not add them (CSP). */
  const UNUSED_STYLE = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
  const BUTTONS = ["toImage", "zoom2d", "pan2d", "resetScale2d"];
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const drawn = new Map();

  let loading = null;
  const plotly = () => {
    loading ||= new Promise((resolve, reject) => {
      document.head.append(Object.assign(document.createElement("meta"), { id: UNUSED_STYLE }));
      const script = Object.assign(document.createElement("script"), { src: PLOTLY });
      script.addEventListener("load", () => resolve(window.Plotly));
      script.addEventListener("error", () => reject(new Error("Plotly did not load")));
      document.head.append(script);
    });
    return loading;
  };

  /* Colours come from the same tokens as the page; a probe resolves light-dark() and color-mix(). */
  const colours = () => {
    const probe = document.createElement("span");
    document.body.append(probe);
    const read = (token) => {
      probe.style.color = `var(${token})`;
      return getComputedStyle(probe).color;
    };
    const found = {
      ink: read("--lt-text"), muted: read("--lt-muted"), grid: read("--lt-grid"),
      line: read("--lt-border-strong"), strong: read("--lt-strong"), surface: read("--lt-surface"), raised: read("--lt-raised"),
    };
    probe.remove();
    return found;
  };

  /* A line's colour has 3:1 to the ground, text needs more: a label in the colour of its line leans towards the ink. */
  const readable = (hex, colour) => {
    if (!/^#[0-9a-f]{6}$/i.test(hex || "")) return hex || colour.ink;
    const ink = colour.strong.match(/\d+/g).map(Number);
    const mixed = [1, 3, 5].map((at, part) => Math.round(parseInt(hex.slice(at, at + 2), 16) * 0.6 + ink[part] * 0.4));
    return `rgb(${mixed.join(",")})`;
  };

  const AXIS = /^[xy]axis\d*$/;
  const dressed = (layout, colour, area) => {
    const narrow = area.clientWidth < 420;
    const copy = structuredClone(layout || {});
    const font = getComputedStyle(document.body).fontFamily;
    Object.assign(copy, { autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", uirevision: copy.uirevision ?? "kept" });
    delete copy.width;
    delete copy.height;
    copy.font = { ...copy.font, family: font, color: colour.muted, size: narrow ? 11 : 12 };
    copy.hoverlabel = { ...copy.hoverlabel, bgcolor: colour.raised, bordercolor: colour.line, font: { family: font, color: colour.ink, size: 12 } };
    copy.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour.muted, activecolor: colour.ink, ...copy.modebar };
    copy.legend = { ...copy.legend, font: { ...copy.legend?.font, color: colour.ink } };
    for (const name of new Set(["xaxis", "yaxis", ...Object.keys(copy).filter((key) => AXIS.test(key))])) {
      const axis = copy[name] || {};
      copy[name] = { ...axis, gridcolor: colour.grid, linecolor: colour.line, zerolinecolor: colour.line, tickcolor: colour.line, spikecolor: colour.line, spikethickness: 1, spikedash: "solid" };
    }
    copy.annotations = copy.annotations?.map((note) => ({ ...note, ...(note.name === "solid" && { bgcolor: colour.surface }), font: { size: 12, ...note.font, color: readable(note.font?.color, colour) } }));
    return copy;
  };
  /* What is out of focus is see-through; over a dark ground the same share of a colour is hardly seen, so it gets more. */
  const SEE_THROUGH = /^rgba\((\d+),\s*(\d+),\s*(\d+),\s*([\d.]+)\)$/;
  const lifted = (value) => {
    const parts = SEE_THROUGH.exec(value || "");
    return parts ? `rgba(${parts[1]},${parts[2]},${parts[3]},${Math.min(1, 0.3 + Number(parts[4])).toFixed(2)})` : value;
  };
  const onDark = () => document.documentElement.getAttribute("data-bs-theme") === "dark";

  /* Outlines between bars and slices take the colour of the ground. */
  const traces = (data, colour) => structuredClone(data || []).map((trace) => {
    if (trace.line?.color && onDark()) trace.line.color = lifted(trace.line.color);
    if (trace.marker?.line?.color === "surface") trace.marker.line.color = colour.surface;
    if (trace.marker && !trace.marker.line && trace.type === "bar") trace.marker.line = { width: 0 };
    return trace;
  });

  const shown = new WeakMap(); /* what each area was last drawn from, so that a poll without news draws nothing */
  const draw = async (area, again = false) => {
    const source = document.getElementById(area.dataset.figure);
    if (!source || (!again && shown.get(area) === source.textContent)) return;
    if (area._dragging) { /* drawing now would take the zoom out of the reader's hand */
      addEventListener("mouseup", () => setTimeout(draw, 0, area, again), { once: true, capture: true });
      return;
    }
    shown.set(area, source.textContent);
    const figure = JSON.parse(source.textContent);
    let library;
    try {
      library = await plotly();
    } catch {
      area.textContent = "The chart could not be loaded. Reload the page; the table shows the same figures.";
      return;
    }
    if (!area.isConnected) return;
    const colour = colours();
    const config = { displaylogo: false, responsive: true, displayModeBar: "hover", modeBarButtons: [BUTTONS], scrollZoom: false, doubleClick: "reset", toImageButtonOptions: { filename: area.id, scale: 2 }, ...figure.config };
    const layout = dressed(figure.layout, colour, area);
    if (still.matches) delete layout.transition;
    const before = drawn.get(area.id);
    /* A swapped chart keeps the reader's zoom, as long as it shows the same thing. */
    if (before && before.revision === layout.uirevision) keepZoom(layout, before.ranges);
    const data = traces(figure.data, colour);
    if (before?.ranges.xaxis) {
      const found = await closer(area); /* first what belongs into the zoom: coarse and fine in turn would flicker */
      if (found?.length === data.length) data.forEach((trace, at) => Object.assign(trace, found[at]));
      if (!area.isConnected) return;
    }
    await library.react(area, data, layout, config);
    area.classList.add("is-drawn");
    if (area.dataset.watched) return;
    area.dataset.watched = "yes";
    area.on("plotly_relayout", () => { remember(area); refine(area); });
  };

  /* A long curve is drawn with its peaks only; whoever zooms in gets the points of that part. */
  const asked = new Map();
  const closer = async (area) => {
    const source = area.closest("[data-source]")?.dataset.source; /* the area itself outlives swaps */
    if (!source) return null;
    const range = drawn.get(area.id)?.ranges.xaxis;
    const part = range ? `&first=${Math.max(0, range[0])}&last=${Math.max(0, range[1])}` : "";
    if (!part && !asked.has(area.id)) return null; /* never zoomed: what is drawn is the whole */
    asked.get(area.id)?.abort();
    const control = new AbortController();
    asked.set(area.id, control);
    try {
      const answer = await fetch(`${source}${part}`, { signal: control.signal });
      return answer.ok ? (await answer.json()).traces : null; /* else what is drawn stays; the next zoom asks again */
    } catch { /* given up for a newer one, or no connection */
      return null;
    }
  };
  const refine = async (area) => {
    const found = await closer(area);
    if (!found?.length || found.length !== area.data.length || !area.isConnected) return;
    await window.Plotly.restyle(area, { x: found.map((one) => one.x), y: found.map((one) => one.y) });
  };

  const axes = (layout) => Object.keys(layout).filter((key) => AXIS.test(key));
  const remember = (area) => {
    const layout = area._fullLayout;
    const ranges = {};
    for (const name of axes(layout)) if (layout[name].autorange === false) ranges[name] = [...layout[name].range];
    drawn.set(area.id, { revision: layout.uirevision, ranges });
  };
  const keepZoom = (layout, ranges) => {
    for (const [name, range] of Object.entries(ranges)) {
      if (layout[name] && layout[name].range === undefined) Object.assign(layout[name], { range, autorange: false });
    }
  };

  const drawIn = (root, again) => {
    const areas = [...root.querySelectorAll("[data-figure]")];
    if (root.matches?.("[data-figure]")) areas.push(root);
    areas.forEach((area) => draw(area, again));
  };
  document.addEventListener("htmx:load", (event) => { if (event.detail.elt !== document.body) drawIn(event.detail.elt); });
  document.addEventListener("htmx:beforeCleanupElement", (event) => {
    if (!event.detail.elt.classList?.contains("js-plotly-plot")) return;
    shown.delete(event.detail.elt);
    window.Plotly.purge(event.detail.elt);
  });
  document.addEventListener("luthier:theme", () => drawIn(document, true));
  /* A chart in a folded part has no width until it is opened. */
  document.addEventListener("toggle", (event) => {
    if (event.target.open) event.target.querySelectorAll?.(".js-plotly-plot").forEach((area) => window.Plotly.Plots.resize(area));
  }, true);
  drawIn(document);
})();
