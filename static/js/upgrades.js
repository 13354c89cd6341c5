/* The buttons of a plan say how many adapters are ticked; without this script they say “all”, and ticks count as well. */
(() => {
  const form = document.getElementById("order");
  if (!form) return;
  const show = () => {
    const ticked = form.querySelectorAll("input[name=adapters]:checked").length;
    form.querySelectorAll("[data-order]").forEach((button) => {
      button.textContent = `${button.dataset.order} ${ticked ? `${ticked} ticked` : "all"}`;
    });
  };
  form.addEventListener("change", show);
  window.addEventListener("pageshow", show);
  show();
})();
