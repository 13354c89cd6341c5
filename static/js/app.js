/* Behaviours that pages ask for by data attributes: htmx, forms, dialogs, times, logs. No page has a script of its own. */
(() => {
  const on = (type, selector, handle) =>
    document.addEventListener(type, (event) => {
      const element = event.target instanceof Element && event.target.closest(selector);
      if (element) handle(element, event);
    });
  /* Runs for the page and for every piece that htmx brings in later. */
  const each = (selector, setUp) => {
    const visit = (root) => {
      if (root.matches?.(selector)) setUp(root);
      root.querySelectorAll(selector).forEach(setUp);
    };
    visit(document);
    document.addEventListener("htmx:load", (event) => { if (event.detail.elt !== document.body) visit(event.detail.elt); });
  };

  /* htmx sends the CSRF token of the page with every request that may change something. */
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = document.body.dataset.csrf;
  });

  /* A form is sent once: the second click while the first is on its way does nothing. */
  on("submit", "form[data-submit-once]", (form, event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    const button = event.submitter || form.querySelector("[type=submit]");
    button?.setAttribute("aria-busy", "true");
    button?.classList.add("is-busy");
  });
  /* Back in the history, or answered in place by htmx: it may be sent again. */
  const freeForms = (root) => root.querySelectorAll("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll(".is-busy").forEach((button) => {
      button.classList.remove("is-busy");
      button.removeAttribute("aria-busy");
    });
  });
  window.addEventListener("pageshow", () => freeForms(document));
  document.addEventListener("htmx:afterRequest", () => freeForms(document));

  /* Filters take effect when they change. */
  on("change", "form[data-autosubmit], [data-autosubmit]:not(form)", (element) => {
    (element.form || element.closest("form")).requestSubmit();
  });

  /* A page that has stopped asking may have been left open for days, and things go on without it: parts of it that want
     to look once when their reader comes back wait for this. */
  const back = () => { if (!document.hidden) document.body.dispatchEvent(new CustomEvent("reader-back")); };
  document.addEventListener("visibilitychange", back);
  window.addEventListener("focus", back);

  /* Native dialogs: focus stays inside, Esc closes, focus returns to the button. */
  on("click", "[data-dialog]", (button) => {
    const dialog = document.getElementById(button.dataset.dialog);
    if (dialog && !dialog.open) dialog.showModal();
  });
  on("click", "[data-dialog-close]", (button) => button.closest("dialog").close());
  on("click", "dialog", (dialog, event) => {
    if (event.target !== dialog) return;
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) dialog.close();
  });

  /* A whole row may be clicked, but the link in it stays the way for keyboard and screen reader. */
  on("click", "tr[data-href]", (row, event) => {
    if (event.target.closest("a, button, input, label, summary, select") || String(getSelection())) return;
    if (event.ctrlKey || event.metaKey) window.open(row.dataset.href, "_blank", "noopener");
    else location.assign(row.dataset.href);
  });

  /* What scrolls can be scrolled by keyboard, too. */
  const reach = () => document.querySelectorAll(".table-responsive, pre").forEach((box) => {
    if (box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight) return;
    if (box.hasAttribute("tabindex")) return;
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", box.querySelector("caption")?.textContent || "Scrollable content");
  });
  each("main", reach);
  window.addEventListener("resize", reach);
  document.addEventListener("htmx:load", reach);

  /* A log shows its end, unless the reader has scrolled up. */
  const atEnd = new Map();
  each("[data-tail]", (log) => {
    if (atEnd.get(log.id) !== false) log.scrollTop = log.scrollHeight; /* else it is kept where it was */
    log.addEventListener("scroll", () => {
      atEnd.set(log.id, log.scrollHeight - log.scrollTop - log.clientHeight < 24);
    }, { passive: true });
  });

  /* "3 min ago" stays true while the page is open. The words are those of projects.domain.formatting. */
  const THIN = "\u202f";
  const relative = (moment) => {
    const gap = (Date.now() - moment) / 1000;
    const seconds = Math.abs(gap);
    if (seconds > 30 * 86400) return null;
    if (seconds < 45) return "just now";
    const [size, unit] = seconds >= 86400 ? [86400, "d"] : seconds >= 3600 ? [3600, "h"] : [60, "min"];
    const span = `${Math.max(1, Math.round(seconds / size))}${THIN}${unit}`;
    return gap > 0 ? `${span} ago` : `in ${span}`;
  };
  const refreshTimes = () => document.querySelectorAll("time[data-ago]").forEach((time) => {
    const text = relative(Date.parse(time.dateTime));
    if (text && time.textContent !== text) time.textContent = text;
  });
  setInterval(refreshTimes, 20000);
  document.addEventListener("visibilitychange", refreshTimes);
})();
