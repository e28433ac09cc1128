// Of several buttons one is pressed; of toggles each on its own.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-key]");
  if (!button) return;
  const all = [...element.querySelectorAll("button[data-key]")];
  const keys = (some) => some.map((each) => Number(each.dataset.key));
  const pressed = (each) => each.getAttribute("aria-pressed") === "true";
  if (button.closest(".kx-toggles")) {
    button.setAttribute("aria-pressed", !pressed(button));
    trigger("input", { keys: keys(all.filter((each) => !pressed(each))) });
  } else {
    for (const each of all) each.setAttribute("aria-pressed", each === button);
    trigger("select", { key: keys([button])[0] });
  }
});
