/* Files sent in parts: several at once, with pause, and on where they were after a cut line, a closed lid or a reload. */
(() => {
  const THIN = "\u202f";
  const TRIES = 3;
  const AGAIN = 15000; // milliseconds until a lost connection is tried once more by itself
  const forms = new WeakMap();

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
  const wait = (milliseconds, wake) => new Promise((resolve) => {
    const done = () => { clearTimeout(timer); removeEventListener("online", done); resolve(); };
    const timer = setTimeout(done, milliseconds);
    if (wake) addEventListener("online", done);
  });

  class Lost extends Error {} // no connection, or a server that is away: worth another try
  class Refused extends Error {
    constructor(status, code, text) { super(text); Object.assign(this, { status, code }); }
  }
  class Stopped extends Error {}

  /* One request; `sent` hears how many bytes of the body are gone, `hold` gets the request so that it can be stopped. */
  const ask = (method, url, body, { headers = {}, sent, hold } = {}) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.timeout = 10 * 60 * 1000;
    for (const [name, value] of Object.entries({ Accept: "application/json", "X-CSRFToken": document.body.dataset.csrf, ...headers })) {
      request.setRequestHeader(name, value);
    }
    if (sent) request.upload.addEventListener("progress", (event) => sent(event.loaded));
    request.addEventListener("load", () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText || "{}"); } catch { answer = {}; }
      if (request.status >= 200 && request.status < 300) return resolve(answer);
      if (request.status >= 500 || request.status === 429 || request.status === 408) return reject(new Lost());
      const known = { 401: "You are signed out. Sign in, choose the file again, and it goes on.", 403: "Your role does not include uploads, or you are signed out. Reload the page.", 413: "The server does not take parts of this size. Tell whoever runs it." };
      reject(new Refused(request.status, answer.code, answer.message || known[request.status] || `The server refused it (answer ${request.status}).`));
    });
    request.addEventListener("error", () => reject(new Lost()));
    request.addEventListener("timeout", () => reject(new Lost()));
    request.addEventListener("abort", () => reject(new Stopped()));
    hold?.(request);
    request.send(body);
  });
  const json = (method, url, data) => ask(method, url, data && JSON.stringify(data), { headers: data ? { "Content-Type": "application/json" } : {} });

  /* The sha256 of a piece, where the browser offers it (on https and on this machine). */
  const digest = async (piece) => {
    if (!globalThis.crypto?.subtle) return "";
    const hash = await crypto.subtle.digest("SHA-256", await piece.arrayBuffer());
    return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  const memory = {
    key: (form, file) => `luthier-upload:${form.dataset.api}:${form.dataset.dataset}:${file.name}:${file.size}:${file.lastModified}`,
    get(form, file) { try { return localStorage.getItem(this.key(form, file)); } catch { return null; } },
    set(form, file, id) { try { localStorage.setItem(this.key(form, file), id); } catch { /* private windows may refuse */ } },
    drop(form, file) { try { localStorage.removeItem(this.key(form, file)); } catch { /* the same */ } },
  };

  const options = (form) => {
    const value = (name) => form.elements[name]?.value || "";
    const provenance = Object.fromEntries(["origin", "teacher", "licence"].map((name) => [name, value(name)]).filter(([, said]) => said));
    return {
      hold: Boolean(form.elements.hold?.checked),
      ...(value("forced_format") && { format: value("forced_format") }),
      ...(Object.keys(provenance).length && { provenance }),
      ...(value("mends") && { mends: Number(value("mends")) }),
    };
  };

  /* One file on its way. */
  class Sending {
    constructor(form, file, box, changed) {
      Object.assign(this, { form, file, box, changed, sent: 0, flying: 0, state: "waiting", skipped: 0, paused: false, gone: false });
      this.part = (name) => box.querySelector(`[data-upload-${name}]`);
      this.part("file").textContent = file.name;
      this.part("pause").addEventListener("click", () => (this.paused ? this.goOn() : this.pause()));
      this.part("cancel").addEventListener("click", () => this.cancel());
      this.show("Waiting");
    }

    show(text) {
      const done = Math.min(this.file.size, this.sent + this.flying);
      this.part("bar").value = this.file.size ? done / this.file.size : 1;
      this.part("state").textContent = text || `${size(done)} of ${size(this.file.size)}`;
      this.changed();
    }

    pause() {
      this.paused = true;
      this.part("pause").textContent = "Go on";
      this.request?.abort();
      this.show("Paused. What has arrived is kept for a week.");
    }

    goOn() {
      this.paused = false;
      this.part("pause").textContent = "Pause";
      this.wake?.();
    }

    async cancel() {
      this.gone = true;
      this.request?.abort();
      this.wake?.();
      memory.drop(this.form, this.file);
      if (this.id) await ask("DELETE", `${this.form.dataset.api}${this.id}/`).catch(() => {});
      this.end("cancelled", "Cancelled. Nothing of it is kept.");
    }

    end(state, text) {
      this.state = state;
      this.flying = 0;
      this.box.dataset.state = state;
      this.part("pause").hidden = this.part("cancel").hidden = true;
      this.show(text);
    }

    async run() {
      this.state = "sending";
      try {
        const incoming = await this.patiently(() => this.find());
        await this.sendParts(incoming);
        this.show("Being checked");
        const upload = await this.patiently(() => json("POST", `${this.form.dataset.api}${this.id}/finish/`, {}));
        memory.drop(this.form, this.file);
        this.upload = upload.id;
        this.end("done", "Arrived");
      } catch (error) {
        if (this.gone || error instanceof Stopped) return;
        if (error instanceof Refused && error.code === "checksum_mismatch") memory.drop(this.form, this.file);
        this.end("failed", error instanceof Refused ? error.message : `It cannot be read any more (${error.message}). Choose it again.`);
      }
    }

    /* The unfinished upload of this very file, or a new one. */
    async find() {
      const { api, dataset } = this.form.dataset;
      const known = memory.get(this.form, this.file);
      const list = known ? [await json("GET", `${api}${known}/`).catch((error) => { if (error instanceof Lost) throw error; })] : (await json("GET", api)).results;
      for (const one of list.filter((one) => one?.state === "open" && one.size === this.file.size && String(one.dataset) === dataset)) {
        if ((known || one.file_name === this.file.name) && await this.matches(one, Boolean(known))) return this.begun(one);
      }
      return this.begun(await json("POST", api, { dataset: Number(dataset), file_name: this.file.name, size: this.file.size, ...options(this.form) }));
    }

    begun(incoming) {
      this.id = incoming.id;
      memory.set(this.form, this.file, incoming.id);
      return incoming;
    }

    piece(incoming, number) {
      return this.file.slice(number * incoming.part_size, (number + 1) * incoming.part_size);
    }

    /* Whether the parts that are there are parts of this file: the first, the last and some between are compared. */
    async matches(incoming, remembered) {
      const { parts } = incoming;
      if (!parts.length) return true;
      if (!globalThis.crypto?.subtle) return remembered;
      const chosen = parts.filter((_, n) => n === 0 || n === parts.length - 1 || n % Math.ceil(parts.length / 6) === 0);
      for (const part of chosen) {
        if (await digest(this.piece(incoming, part.number)) !== part.sha256) return false;
      }
      return true;
    }

    async sendParts(incoming) {
      const here = new Map(incoming.parts.map((part) => [part.number, part.size]));
      this.skipped = this.sent = [...here.values()].reduce((sum, one) => sum + one, 0);
      this.resumed = here.size > 0;
      for (let number = 0; number < incoming.parts_expected; number += 1) {
        if (here.has(number)) continue;
        const piece = this.piece(incoming, number);
        const sha256 = await digest(piece);
        await this.patiently(() => ask("PUT", `${this.form.dataset.api}${this.id}/parts/${number}/`, piece, {
          headers: { "Content-Type": "application/octet-stream", ...(sha256 && { "X-Content-SHA256": sha256 }) },
          sent: (loaded) => { this.flying = loaded; this.show(); },
          hold: (request) => { this.request = request; },
        }));
        this.flying = 0;
        this.sent += piece.size;
        this.show();
      }
    }

    /* Three tries with longer and longer pauses, then again whenever the line may be back; a pause lasts until it ends. */
    async patiently(work) {
      for (let tried = 1; ; tried += 1) {
        while (this.paused && !this.gone) await new Promise((resolve) => { this.wake = resolve; });
        if (this.gone) throw new Stopped();
        try {
          return await work();
        } catch (error) {
          this.flying = 0;
          if (this.gone || (error instanceof Stopped && !this.paused)) throw new Stopped();
          if (this.paused) { tried = 0; continue; }
          const damaged = error instanceof Refused && error.code === "checksum_mismatch" && this.request && tried < TRIES;
          if (!(error instanceof Lost) && !damaged) throw error;
          const left = tried >= TRIES;
          this.show(left ? "No connection. It goes on by itself when it is back." : "The line was cut. Trying again …");
          await wait(left ? AGAIN : 1000 * 2 ** (tried - 1), true);
        }
      }
    }
  }

  const part = (form, name) => form.querySelector(`[data-upload-${name}]`);
  const input = (form) => form.querySelector("input[type=file]");

  const fail = (form, text) => {
    part(form, "error").hidden = false;
    part(form, "message").textContent = text;
  };

  const choose = (form) => {
    const files = [...input(form).files];
    part(form, "error").hidden = true;
    part(form, "zone").classList.toggle("has-file", files.length > 0);
    const total = size(files.reduce((sum, file) => sum + file.size, 0));
    part(form, "name").textContent = !files.length ? "Drop files here" : files.length === 1 ? files[0].name : `${files.length} files`;
    part(form, "or").textContent = files.length ? `${total}, click to choose others` : "";
    const limit = Number(form.dataset.maxBytes || Infinity);
    const large = files.find((file) => file.size > limit);
    const empty = files.find((file) => file.size === 0);
    if (large) fail(form, `${large.name} has ${size(large.size)}; at most ${size(limit)} are taken. Split the file or compress it (.gz, .zst).`);
    if (empty) fail(form, `${empty.name} is empty. Check the export that made it.`);
    return files.length > 0 && !large && !empty;
  };

  /* The line under all files: bytes, share, speed and time left; read out at every tenth. */
  const summary = (form, sendings, started) => {
    const total = sendings.reduce((sum, one) => sum + one.file.size, 0);
    const done = sendings.reduce((sum, one) => sum + Math.min(one.file.size, one.sent + one.flying), 0);
    const skipped = sendings.reduce((sum, one) => sum + one.skipped, 0);
    const speed = (done - skipped) / ((performance.now() - started) / 1000);
    const share = total ? done / total : 1;
    const left = speed > 0 ? ` · ${size(speed)}/s · ${span((total - done) / speed)} left` : "";
    part(form, "numbers").textContent = share < 1
      ? `${size(done)} of ${size(total)} · ${Math.floor(share * 100)}${THIN}%${left}`
      : `${size(total)} sent · being checked`;
    const tenth = Math.floor(share * 10);
    if (forms.get(form)?.tenth !== tenth) {
      forms.set(form, { tenth });
      part(form, "spoken").textContent = `${tenth * 10} percent sent`;
    }
  };

  const send = async (form) => {
    const box = part(form, "progress");
    const list = part(form, "list");
    const started = performance.now();
    const sendings = [];
    list.replaceChildren();
    for (const file of input(form).files) {
      const item = part(form, "item").content.firstElementChild.cloneNode(true);
      list.append(item);
      sendings.push(new Sending(form, file, item, () => summary(form, sendings, started)));
    }
    box.hidden = false;
    part(form, "submit").disabled = true;
    form.setAttribute("aria-busy", "true");
    for (const one of sendings) await one.run();
    form.removeAttribute("aria-busy");
    part(form, "submit").disabled = false;
    const arrived = sendings.filter((one) => one.upload);
    if (arrived.length === sendings.length) {
      return location.assign(arrived.length === 1 ? form.dataset.page.replace("/0/", `/${arrived[0].upload}/`) : form.dataset.back);
    }
    const failed = sendings.filter((one) => one.state === "failed");
    if (failed.length) fail(form, `${failed[0].file.name}: ${failed[0].part("state").textContent}`);
    part(form, "numbers").textContent = `${arrived.length} of ${sendings.length} files arrived`;
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
    if (!input(form).files.length) return fail(form, "Choose a file first.");
    if (choose(form) && form.getAttribute("aria-busy") !== "true") send(form);
  });
  /* “Go on” beside an unfinished upload asks for its file again. */
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-upload-resume]");
    const form = button && document.getElementById(button.dataset.uploadResume)?.querySelector("form[data-upload]");
    if (form) input(form).click();
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
