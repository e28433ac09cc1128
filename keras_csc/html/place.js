// A place of an image is pressed, or reached by the arrow keys.
const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1],
  ArrowRight: [0, 1] };
const go = (image, row, column) => {
  const [height, width, step] = ["height", "width", "step"].map(
    (name) => Number(image.dataset[name]));
  const at = (value, size) =>
    Math.max(0, Math.min(Math.floor(value / step), Math.ceil(size / step) - 1));
  const [i, j] = [at(row, height), at(column, width)];
  Object.assign(image.dataset, { row: i * step, column: j * step });
  const mark = image.querySelector(".kx-mark");
  mark.hidden = false;
  mark.style.top = `${(100 * i * step) / height}%`;
  mark.style.left = `${(100 * j * step) / width}%`;
  trigger("select", { row: i * step, column: j * step });
};
element.addEventListener("click", (event) => {
  const image = event.target.closest(".kx-press");
  if (!image) return;
  const box = image.querySelector("img").getBoundingClientRect();
  go(image, ((event.clientY - box.top) / box.height) * image.dataset.height,
    ((event.clientX - box.left) / box.width) * image.dataset.width);
});
element.addEventListener("keydown", (event) => {
  const image = event.target.closest(".kx-press");
  const move = steps[event.key];
  if (!image || !move) return;
  event.preventDefault();
  const step = Number(image.dataset.step);
  const [row, column] = [image.dataset.row, image.dataset.column].map(
    (value) => Number(value ?? 0));
  go(image, row + move[0] * step, column + move[1] * step);
});
