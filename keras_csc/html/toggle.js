// Each button is pressed on its own.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-key]");
  if (!button) return;
  const off = button.getAttribute("aria-pressed") === "true";
  button.setAttribute("aria-pressed", !off);
  const all = [...element.querySelectorAll('button[aria-pressed="false"]')];
  trigger("input", { keys: all.map((each) => Number(each.dataset.key)) });
});
