// One of several buttons is pressed.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-key]");
  if (!button) return;
  for (const other of element.querySelectorAll("button[data-key]"))
    other.setAttribute("aria-pressed", other === button);
  trigger("select", { key: Number(button.dataset.key) });
});
