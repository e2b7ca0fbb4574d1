// Tables that sort and filter, and the comparison of two layers of an image. No library, no network.
"use strict";

const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// --- Tables -------------------------------------------------------------------------------------------------

// Numbers come before text in both directions: text such as "not run" is no result.
function compare(a, b, sign) {
  const [x, y] = [a.dataset.value, b.dataset.value];
  if (x !== undefined && y !== undefined) return x === y ? 0 : sign * (x - y);
  if (x !== undefined || y !== undefined) return x === undefined ? 1 : -1;
  return sign * a.textContent.trim().localeCompare(b.textContent.trim(), "en", { numeric: true });
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const header = event.target.closest("button")?.closest("th");
    if (!header) return;
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    for (const other of header.parentNode.cells) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const column = header.cellIndex;
    const rows = [...table.tBodies[0].rows];
    table.tBodies[0].append(...rows.sort((a, b) => compare(a.cells[column], b.cells[column], ascending ? 1 : -1)));
  });
}

for (const filter of document.querySelectorAll(".filter")) {
  const rows = [...filter.closest(".table").querySelectorAll("tbody tr")];
  filter.hidden = rows.length < 12;
  filter.querySelector("input").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    const shown = rows.filter((row) => !row.hidden).length;
    filter.querySelector("output").textContent = shown < rows.length ? `${shown} of ${rows.length} rows` : "";
  });
}

// --- The comparison -----------------------------------------------------------------------------------------

class Swipe {
  constructor(root, data) {
    const [form, stage, handle, status] = ["form", ".stage", ".handle", ".status"].map((name) => root.querySelector(name));
    const [run, method, image] = data.start;
    Object.assign(this, { root, data, form, stage, handle, status, scale: 1, x: 0, y: 0 });
    this.state = { run, method, image, left: "image", right: "label" };
    this.listen();
    root.hidden = false;
    if (!this.openAddress()) this.show();
    this.divide(50);
  }

  listen() {
    const { form, stage, handle, root } = this;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", ({ target }) => target.name in this.state && this.choose({ [target.name]: target.value }));
    form.opacity.addEventListener("input", () => this.divide(handle.value));
    handle.addEventListener("input", () => this.divide(handle.value));
    const actions = {
      previous: () => this.step(-1), next: () => this.step(1),
      in: () => this.zoom(1.5), out: () => this.zoom(1 / 1.5), reset: () => this.place(1, 0, 0),
    };
    for (const [name, act] of Object.entries(actions)) root.querySelector(`button[name=${name}]`).addEventListener("click", act);
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.drag(event));
    window.addEventListener("hashchange", () => this.openAddress());
    window.addEventListener("resize", () => this.place(1, 0, 0));
  }

  // --- What is shown

  get run() { return this.data.runs[this.state.run]; }
  get picture() { return this.run.images[this.state.image]; }

  // An address such as #see=run/method/image/left/right.
  openAddress() {
    if (!location.hash.startsWith("#see=")) return false;
    const [run, method, image, left, right] = location.hash.slice(5).split("/").map(decodeURIComponent);
    if (!this.data.runs[run]?.images[image]) return false;
    Object.assign(this.state, { run, method, image }, left && { left }, right && { right });
    this.show();
    this.root.scrollIntoView({ block: "start" });
    this.stage.focus({ preventScroll: true });
    return true;
  }

  choose(change) {
    Object.assign(this.state, change);
    this.show();
    history.replaceState(null, "", "#see=" + Object.values(this.state).map(encodeURIComponent).join("/"));
  }

  step(by) {
    const names = Object.keys(this.run.images);
    this.choose({ image: names[(names.indexOf(this.state.image) + by + names.length) % names.length] });
  }

  // The pictures that make up a layer, from below; an address that is missing leaves the layer out.
  addresses(layer) {
    const { picture, state: { method } } = this;
    const label = picture.label[method];
    const found = {
      image: [picture.image],
      translation: [picture.translation[this.run.methods[method].translator]],
      label: [picture.image, label],
      truth: [picture.image, picture.truth],
      difference: [label, picture.truth],
      uncertainty: [picture.uncertainty[method]],
    }[layer];
    const needed = ["label", "truth"].includes(layer) ? found.slice(1) : found;
    return needed.every(Boolean) ? found.filter(Boolean) : [];
  }

  show() {
    const { state, data: { layers, runs } } = this;
    if (!this.picture) state.image = Object.keys(this.run.images)[0];
    if (!this.run.methods[state.method]) state.method = Object.keys(this.run.methods)[0];
    const usable = Object.keys(layers).filter((layer) => this.addresses(layer).length);
    if (!usable.includes(state.left)) state.left = usable[0];
    if (!usable.includes(state.right)) state.right = usable.at(-1);
    this.fill("run", Object.keys(runs), (key) => runs[key].label);
    this.fill("method", Object.keys(this.run.methods), (key) => this.run.methods[key].label);
    this.fill("image", Object.keys(this.run.images), (key) => key);
    for (const side of ["left", "right"]) {
      this.fill(side, Object.keys(layers), (layer) => layers[layer] + (usable.includes(layer) ? "" : " (none)"));
      for (const option of this.form[side].options) option.disabled = !usable.includes(option.value);
      this.draw(side);
    }
    for (const name of ["run", "method"]) this.form[name].parentNode.hidden = this.form[name].options.length < 2;
    this.describe();
  }

  fill(name, keys, label) {
    this.form[name].replaceChildren(...keys.map((key) => make("option", { value: key, textContent: label(key) })));
    this.form[name].value = this.state[name];
  }

  draw(side) {
    const layer = this.state[side], [width, height] = this.picture.size;
    const alt = `${this.data.layers[layer] ?? "Nothing"} of ${this.state.image}`;
    const isMask = (src) => /\.png$|^data:image\/png/.test(src);
    const canvas = this.stage.querySelector(`.${side} .canvas`);
    canvas.className = `canvas ${layer}`;
    canvas.replaceChildren(...this.addresses(layer).map((src, place, all) => make("img", {
      src, width, height, draggable: false, alt: place === all.length - 1 ? alt : "", className: isMask(src) ? "mask" : "",
    })));
    this.stage.style.setProperty("--ratio", width / height);
    this.stage.querySelector(`.tag.${side}`).textContent = this.data.layers[layer] ?? "";
  }

  describe() {
    const { run, state: { method, image } } = this;
    const dice = Object.entries(this.picture.dice[method] ?? {}).map(([name, value]) => `${name} ${value.toFixed(3)}`);
    const scores = dice.length ? `Dice: ${dice.sort().join(", ")}.` : this.data.unscored;
    this.status.replaceChildren(make("strong", { textContent: image }), ` ${run.methods[method].label}. ${scores} `);
    const href = run.notebooks[method];
    if (href) this.status.append(make("a", { href, textContent: "Executed notebook" }));
  }

  // --- Divider and zoom

  divide(percent) {
    this.handle.value = percent;
    const at = this.handle.value;
    this.stage.querySelector(".side.left").style.clipPath = `inset(0 ${100 - at}% 0 0)`;
    this.stage.querySelector(".side.right").style.clipPath = `inset(0 0 0 ${at}%)`;
    this.stage.querySelector(".divider").style.left = `${at}%`;
    this.stage.style.setProperty("--strength", this.form.opacity.value / 100);
  }

  place(scale, x, y) {
    this.scale = clamp(scale, 1, 16);
    this.x = clamp(x, this.stage.clientWidth * (1 - this.scale), 0);
    this.y = clamp(y, this.stage.clientHeight * (1 - this.scale), 0);
    const transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    for (const canvas of this.stage.querySelectorAll(".canvas")) canvas.style.transform = transform;
    this.stage.classList.toggle("enlarged", this.scale > 1);
    this.stage.classList.toggle("far", this.scale > 3);
  }

  // The point of the picture at (x, y) of the stage keeps its place.
  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const change = clamp(this.scale * factor, 1, 16) / this.scale;
    this.place(this.scale * change, x - change * (x - this.x), y - change * (y - this.y));
  }

  // The wheel scrolls the page until the stage has the focus, is enlarged, or Ctrl is held.
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.stage && this.scale === 1) return;
    event.preventDefault();
    const box = this.stage.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }

  key(event) {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0") this.place(1, 0, 0);
    else if (this.scale > 1 && (dx || dy)) this.place(this.scale, this.x - 40 * dx, this.y - 40 * dy);
    else if (dx) this.divide(Number(this.handle.value) + 2 * dx);
    else return;
    event.preventDefault();
  }

  // A drag moves the enlarged picture, or the divider where it starts near it or nothing is enlarged.
  drag(start) {
    if (start.button) return;
    const { stage } = this, box = stage.getBoundingClientRect(), origin = [this.x, this.y];
    const divider = box.left + box.width * this.handle.value / 100;
    const movesPicture = this.scale > 1 && Math.abs(start.clientX - divider) > 28;
    const move = ({ clientX, clientY }) => (movesPicture
      ? this.place(this.scale, origin[0] + clientX - start.clientX, origin[1] + clientY - start.clientY)
      : this.divide(100 * (clientX - box.left) / box.width));
    stage.setPointerCapture(start.pointerId);
    stage.onpointermove = move;
    stage.onpointerup = stage.onpointercancel = () => { stage.onpointermove = null; };
    move(start);
  }
}

const swipe = document.getElementById("swipe-data");
if (swipe) new Swipe(document.getElementById("swipe"), JSON.parse(swipe.textContent));
