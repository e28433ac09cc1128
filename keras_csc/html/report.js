// Cards in another order. Without this script they stay as they are.
for (const stage of document.querySelectorAll("[data-stage]")) {
  const select = stage.querySelector("select");
  if (!select) continue;
  const lists = [...stage.querySelectorAll(".cards")];
  const first = lists[0].children.length;
  const keys = {
    strength: (card) => Number(card.dataset.strength),
    density: (card) => -Number(card.dataset.density),
    rarity: (card) => Number(card.dataset.density),
    number: (card) => Number(card.dataset.number),
  };
  select.closest("[hidden]").hidden = false;
  select.addEventListener("change", () => {
    const key = keys[select.value];
    const cards = [...stage.querySelectorAll(".card")];
    cards.sort((a, b) => key(a) - key(b));
    lists[0].append(...cards.slice(0, first));
    lists[1]?.append(...cards.slice(first));
  });
}
