/* Tokens of a row: pointing at one, or going to it with the arrow keys, tells its number, id and what becomes of it. */
(() => {
  const tell = (box, token) => {
    box.querySelector(".is-here")?.classList.remove("is-here");
    token.classList.add("is-here");
    const stretch = token.closest(".stretch");
    const word = stretch.querySelector(".visually-hidden").textContent.replace(": ", "").toLowerCase();
    const told = box.parentElement.querySelector("[data-seen-told]");
    told.textContent = `Token ${token.dataset.n}, id ${token.dataset.id}, “${token.textContent.replace(/\n/g, "")}”: ${word}${token.classList.contains("tok-special") ? ", special" : ""}`;
  };
  document.addEventListener("pointerover", (event) => {
    const token = event.target instanceof Element && event.target.closest("[data-seen] .tok");
    if (token) tell(token.closest("[data-seen]"), token);
  });
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 20, ArrowUp: -20 };
  document.addEventListener("keydown", (event) => {
    const box = event.target instanceof Element && event.target.closest("[data-seen]");
    if (!box || (!(event.key in steps) && event.key !== "Home" && event.key !== "End") || event.ctrlKey || event.metaKey || event.altKey) return;
    const tokens = [...box.querySelectorAll(".tok")];
    if (!tokens.length) return;
    event.preventDefault();
    const at = tokens.indexOf(box.querySelector(".is-here"));
    const wanted = event.key === "Home" ? 0 : event.key === "End" ? tokens.length - 1 : at < 0 ? 0 : at + steps[event.key];
    const token = tokens[Math.max(0, Math.min(tokens.length - 1, wanted))];
    tell(box, token);
    token.scrollIntoView({ block: "nearest" });
  });
})();
