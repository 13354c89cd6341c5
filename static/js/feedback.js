/* Small answers to people: copied, explained, failed to load. */
(() => {
  const say = (text) => {
    const place = document.getElementById("announcer");
    if (!place) return;
    place.textContent = "";
    requestAnimationFrame(() => { place.textContent = text; });
  };

  /* Copy buttons. Without the clipboard API (plain http on another host) a hidden text area does it. */
  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "visually-hidden" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("The browser refused to copy");
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const word = button.querySelector("[data-copy-word]");
    try {
      await copy(button.dataset.copy);
      button.classList.add("is-copied");
      if (word) word.textContent = "Copied";
      say("Copied");
    } catch {
      toast("Copying was refused by the browser. Select the text and copy it by keyboard.");
    }
    setTimeout(() => {
      button.classList.remove("is-copied");
      if (word) word.textContent = "Copy";
    }, 1600);
  });

  /* The small "?": a bubble on hover, focus and touch; Esc closes it. */
  let bubble = null;
  let owner = null;
  const hide = () => {
    bubble?.remove();
    bubble = owner = null;
  };
  const show = (button) => {
    if (owner === button) return;
    hide();
    owner = button;
    bubble = Object.assign(document.createElement("div"), { className: "bubble", textContent: button.dataset.hint });
    bubble.setAttribute("role", "tooltip");
    (button.closest("dialog") || document.body).append(bubble);
    const at = button.getBoundingClientRect();
    const size = bubble.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left + at.width / 2 - size.width / 2), innerWidth - size.width - 8);
    const above = at.top - size.height - 8;
    bubble.style.left = `${left}px`;
    bubble.style.top = `${above > 8 ? above : at.bottom + 8}px`;
  };
  const hinted = (event) => event.target instanceof Element && event.target.closest("[data-hint]");
  document.addEventListener("pointerover", (event) => { const button = hinted(event); if (button) show(button); });
  document.addEventListener("pointerout", (event) => { if (hinted(event)) hide(); });
  document.addEventListener("focusin", (event) => { const button = hinted(event); if (button) show(button); });
  document.addEventListener("focusout", hide);
  document.addEventListener("click", (event) => {
    const button = hinted(event);
    if (!button) return hide();
    event.preventDefault();
    show(button);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", hide, { passive: true, capture: true });

  /* A toast says what went wrong in the background and stays until it is closed or ten seconds have passed. */
  const toast = (text) => {
    const place = document.getElementById("toasts");
    if (!place || [...place.children].some((shown) => shown.dataset.text === text)) return;
    const box = document.createElement("div");
    box.className = "toast-box";
    box.dataset.text = text;
    const line = Object.assign(document.createElement("p"), { textContent: text });
    const close = Object.assign(document.createElement("button"), { type: "button", className: "btn-close" });
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => box.remove());
    box.append(line, close);
    place.append(box);
    setTimeout(() => box.remove(), 10000);
  };
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401 || status === 403) toast("You are signed out, or may not see this any more. Reload the page.");
    else if (status === 404) toast("This is not there any more. Reload the page.");
    else toast(`The server answered with an error (${status}). The page shows the last known state.`);
  });
  document.addEventListener("htmx:sendError", () => toast("No connection to the server. The page shows the last known state and keeps trying."));
  document.addEventListener("htmx:afterOnLoad", () => document.querySelectorAll(".toast-box").forEach((box) => box.remove()));
  document.addEventListener("luthier:toast", (event) => toast(event.detail));
})();
