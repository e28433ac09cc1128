// Of several buttons one is pressed; sliders give the weights of atoms.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-key]");
  if (!button) return;
  for (const each of element.querySelectorAll("button[data-key]")) {
    each.setAttribute("aria-pressed", each === button);
  }
  trigger("select", { key: Number(button.dataset.key) });
});
element.addEventListener("input", () => {
  const weights = {};
  for (const each of element.querySelectorAll("input[data-key]")) {
    each.nextElementSibling.textContent = `× ${each.value.replace("-", "−")}`;
    if (each.value !== "1") weights[each.dataset.key] = Number(each.value);
  }
  trigger("input", { weights });
});
