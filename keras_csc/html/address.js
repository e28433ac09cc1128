// An atom has an address, as in a report: #stage-2-atom-17.
const visit = () => {
  const found = /^#stage-(\d+)-atom-(\d+)$/.exec(location.hash);
  if (!found) return;
  trigger("select", { stage: Number(found[1]), atom: Number(found[2]) });
};
window.addEventListener("hashchange", visit);
// A link to the address that the page has already changes none.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link?.hash && link.hash === location.hash) visit();
});
visit();
