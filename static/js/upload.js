/* Uploads with progress: drop or pick a file, watch bytes, speed and time left, cancel, read what went wrong. */
(() => {
  const THIN = "\u202f";
  const size = (bytes) => {
    let amount = bytes;
    let unit = "B";
    for (const next of ["kB", "MB", "GB", "TB"]) {
      if (amount < 999.5) break;
      amount /= 1000;
      unit = next;
    }
    return `${unit === "B" ? amount : Number(amount).toPrecision(3)}${THIN}${unit}`;
  };
  const span = (seconds) => {
    if (!Number.isFinite(seconds)) return "";
    const whole = Math.max(1, Math.round(seconds));
    if (whole < 60) return `${whole}${THIN}s`;
    if (whole < 3600) return `${Math.floor(whole / 60)}${THIN}min ${whole % 60}${THIN}s`;
    return `${Math.floor(whole / 3600)}${THIN}h ${Math.floor((whole % 3600) / 60)}${THIN}min`;
  };
  const parts = (form) => Object.fromEntries(
    ["zone", "name", "or", "progress", "numbers", "cancel", "error", "message", "submit"].map(
      (part) => [part, form.querySelector(`[data-upload-${part}]`)]));
  const input = (form) => form.querySelector("input[type=file]");

  const fail = (form, text) => {
    const { error, message, progress, submit } = parts(form);
    progress.hidden = true;
    error.hidden = false;
    message.textContent = text;
    submit.disabled = false;
    form.removeAttribute("aria-busy");
  };

  const choose = (form) => {
    const { name, or, error, zone } = parts(form);
    const file = input(form).files[0];
    error.hidden = true;
    zone.classList.toggle("has-file", Boolean(file));
    name.textContent = file ? file.name : "Drop a file here";
    or.textContent = file ? `${size(file.size)}, click to choose another` : "";
    const limit = Number(form.dataset.maxBytes || Infinity);
    if (file && file.size > limit) fail(form, `${file.name} has ${size(file.size)}; at most ${size(limit)} are taken. Split the file or compress it (.gz, .zst).`);
  };

  /* What the server answered: JSON {"url"} or {"code", "message"}, a Location, or a page we cannot use. */
  const answer = (request) => {
    let body = {};
    try { body = JSON.parse(request.responseText) || {}; } catch { body = {}; }
    const url = body.url || request.getResponseHeader("Location");
    if (request.status >= 200 && request.status < 300 && url) return { url };
    if (body.message) return { text: body.message };
    if (request.status === 413) return { text: "The file is larger than this server takes. Split it or compress it (.gz, .zst)." };
    if (request.status === 401 || request.status === 403) return { text: "You are signed out, or your role does not include uploads. Reload the page." };
    return { text: `The server could not take the file (answer ${request.status}). Nothing has been stored; try again.` };
  };

  const send = (form) => {
    const { progress, numbers, cancel, submit, error } = parts(form);
    const bar = progress.querySelector("progress");
    const request = new XMLHttpRequest();
    const started = performance.now();
    progress.hidden = false;
    error.hidden = true;
    submit.disabled = true;
    form.setAttribute("aria-busy", "true");
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const share = event.loaded / event.total;
      const speed = event.loaded / ((performance.now() - started) / 1000);
      bar.value = share;
      numbers.textContent = share < 1
        ? `${size(event.loaded)} of ${size(event.total)} · ${Math.floor(share * 100)}${THIN}% · ${size(speed)}/s · ${span((event.total - event.loaded) / speed)} left`
        : `${size(event.total)} sent · the server is storing it`;
    });
    request.addEventListener("load", () => {
      const { url, text } = answer(request);
      if (url) location.assign(url);
      else fail(form, text);
    });
    request.addEventListener("error", () => fail(form, "The connection broke while the file was being sent. Nothing has been stored; try again."));
    request.addEventListener("abort", () => fail(form, "Cancelled. Nothing has been stored."));
    cancel.onclick = () => request.abort();
    request.open(form.method, form.action);
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    request.setRequestHeader("X-CSRFToken", document.body.dataset.csrf);
    request.send(new FormData(form));
  };

  const uploadForm = (event) => event.target instanceof Element && event.target.closest("form[data-upload]");
  document.addEventListener("change", (event) => {
    const form = uploadForm(event);
    if (form && event.target.type === "file") choose(form);
  });
  document.addEventListener("submit", (event) => {
    const form = uploadForm(event);
    if (!form) return;
    event.preventDefault();
    const file = input(form).files[0];
    if (!file) return fail(form, "Choose a file first.");
    if (file.size > Number(form.dataset.maxBytes || Infinity)) return choose(form);
    if (form.getAttribute("aria-busy") !== "true") send(form);
  });
  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      const zone = event.target instanceof Element && event.target.closest("[data-upload-zone]");
      /* A file dropped beside the zone must not replace the page. */
      if (type !== "dragleave" && event.dataTransfer?.types.includes("Files")) event.preventDefault();
      if (!zone) return;
      zone.classList.toggle("is-over", type === "dragover");
      if (type !== "drop" || !event.dataTransfer.files.length) return;
      const form = zone.closest("form");
      input(form).files = event.dataTransfer.files;
      choose(form);
    });
  }
})();
