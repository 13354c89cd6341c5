/* Sets light or dark before the first paint: the stored choice, or what the system asks for. */
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try { return localStorage.getItem("luthier-theme"); } catch { return null; }
  };
  const apply = () => {
    const theme = stored() || (dark.matches ? "dark" : "light");
    if (root.getAttribute("data-bs-theme") === theme) return;
    root.setAttribute("data-bs-theme", theme);
    document.dispatchEvent(new CustomEvent("luthier:theme", { detail: theme }));
  };
  apply();
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    try { localStorage.setItem("luthier-theme", next); } catch { root.setAttribute("data-bs-theme", next); }
    apply();
  });
})();
