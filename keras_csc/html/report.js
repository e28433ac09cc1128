// Cards of atoms are sorted and filtered; without a script they stay in order.
const SHOWN = 24; // of a stage, before "The other ..."
const tools = document.getElementById("tools");
const part = (name) => document.getElementById(`tools-${name}`);
const kinds = ["explains", "active", "class"];
const number = (card, kind) => {
  const all = card.dataset[kind].split(" ").map(Number);
  return kind === "class" ? all[part("classes").selectedIndex] : all[0];
};
const passes = (card, kind) => {
  const [least, most] = ["least", "most"].map((end) => part(`${end}-${kind}`));
  const value = number(card, kind);
  return value >= (least.value || 0) && value <= (most.value || 100);
};

const arrange = () => {
  const there = kinds.filter((kind) => part(`least-${kind}`));
  const by = tools.querySelector("input[type=radio]:checked").value;
  const [sign, said] = [part("rising").checked ? 1 : -1, []];
  document.querySelectorAll("#atoms .stage").forEach((stage, place) => {
    const [first, rest] = stage.querySelectorAll(".cards");
    const cards = [...stage.querySelectorAll(".card")];
    for (const card of cards) {
      card.hidden = !there.every((kind) => passes(card, kind));
    }
    const shown = cards.filter((card) => !card.hidden);
    shown.sort((a, b) => sign * (number(a, by) - number(b, by)));
    const count = rest ? SHOWN : shown.length;
    first.append(...shown.slice(0, count));
    if (rest) {
      rest.append(...shown.slice(count));
      rest.parentElement.hidden = shown.length <= count;
      rest.previousElementSibling.textContent =
        `The other atoms of stage ${place + 1}: ${shown.length - count}`;
    }
    said.push(`${shown.length} of ${cards.length} in stage ${place + 1}`);
  });
  part("said").textContent = `Atoms that are shown: ${said.join(", ")}.`;
};

// A link to an atom opens what the atom lies in, and shows a hidden card.
const visit = () => {
  const atom = document.getElementById(location.hash.slice(1));
  if (!atom) return;
  for (let each = atom; each; each = each.parentElement) {
    if (each.tagName === "DETAILS") each.open = true;
    each.hidden = false;
  }
  atom.scrollIntoView();
};

if (tools) {
  tools.hidden = false;
  tools.addEventListener("input", arrange);
  addEventListener("hashchange", visit);
  arrange();
}
visit();
