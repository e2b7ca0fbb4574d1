// Tables that sort and filter, figures that enlarge, the comparison with a divider. No library, no network.
"use strict";

const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// --- Tables -------------------------------------------------------------------------------------------------

function shownText(row, column) {
  const cell = row.cells[column];
  return (cell.querySelector("strong, a") || cell).textContent.trim();
}

function numberIn(text) {
  const found = /^[<]?\s*([+−-]?(?:\d[\d.]*|∞))(?![\w])/.exec(text);
  return found ? Number(found[1].replace("−", "-").replace("∞", "Infinity")) : NaN;
}

// Whatever is no number comes last in a column of numbers, both ways: it is no result.
function comparison(rows, column, ascending) {
  const sign = ascending ? 1 : -1;
  const number = new Map(rows.map((row) => [row, numberIn(shownText(row, column))]));
  if ([...number.values()].every(Number.isNaN)) {
    return (a, b) => sign * shownText(a, column).localeCompare(shownText(b, column), "en", { numeric: true });
  }
  return (a, b) => {
    const [x, y] = [number.get(a), number.get(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return x === y ? 0 : sign * (x - y);
  };
}

function sortBy(table, header) {
  const ascending = header.getAttribute("aria-sort") !== "ascending";
  for (const other of header.parentNode.cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows];
  table.tBodies[0].append(...rows.sort(comparison(rows, header.cellIndex, ascending)));
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    if (event.target.closest("button")) sortBy(table, event.target.closest("th"));
  });
}

function filter(box) {
  const rows = [...box.parentNode.querySelector("tbody").rows];
  const wanted = [...box.querySelectorAll("select")].filter((s) => s.value);
  for (const row of rows) row.hidden = wanted.some((s) => shownText(row, s.dataset.column) !== s.value);
  const left = rows.filter((row) => !row.hidden).length;
  box.querySelector("output").textContent = left < rows.length ? `${left} of ${rows.length} rows` : `${left} rows`;
}

for (const box of document.querySelectorAll("[data-filters]")) {
  const rows = [...box.parentNode.querySelector("tbody").rows];
  for (const select of box.querySelectorAll("select")) {
    const values = [...new Set(rows.map((row) => shownText(row, select.dataset.column)))];
    select.append(...values.map((value) => make("option", { value, textContent: value })));
    if (values.length < 2) select.parentNode.hidden = true;
  }
  box.hidden = rows.length < 6;
  box.addEventListener("change", () => filter(box));
  filter(box);
}

// --- What can be enlarged and moved ------------------------------------------------------------------------

class Zoom {
  // `box` is looked through; `apply` is told how the picture behind it lies: scale, and shift in pixels.
  constructor(box, apply) {
    Object.assign(this, { box, apply, scale: 1, x: 0, y: 0 });
    box.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }
  to(scale, x = 0, y = 0) {
    this.scale = clamp(scale, 1, 16);
    this.x = clamp(x, this.box.clientWidth * (1 - this.scale), 0);
    this.y = clamp(y, this.box.clientHeight * (1 - this.scale), 0);
    this.apply(this);
  }
  // What lies at a point of the box stays there.
  by(factor, atX = this.box.clientWidth / 2, atY = this.box.clientHeight / 2) {
    const scale = clamp(this.scale * factor, 1, 16), change = scale / this.scale;
    this.to(scale, atX - change * (atX - this.x), atY - change * (atY - this.y));
  }
  move(dx, dy) { this.to(this.scale, this.x + dx, this.y + dy); }
  // The bare wheel belongs to the page, unless somebody is at work here.
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.box && this.scale === 1) return;
    event.preventDefault();
    const box = this.box.getBoundingClientRect();
    this.by(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }
  key(event) {
    const step = 40;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (event.key === "+" || event.key === "=") this.by(1.5);
    else if (event.key === "-") this.by(1 / 1.5);
    else if (event.key === "0") this.to(1);
    else if (this.scale > 1 && moves[event.key]) this.move(...moves[event.key]);
    else return false;
    event.preventDefault();
    return true;
  }
}

const placed = (zoom) => `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.scale})`;

// Calls `moved` with each way (px) of a pointer that is held on `box`.
function dragging(box, moved, start = () => true) {
  let last = null;
  box.addEventListener("pointerdown", (event) => {
    if (event.button || !start(event)) return;
    box.setPointerCapture(event.pointerId);
    last = [event.clientX, event.clientY];
  });
  box.addEventListener("pointermove", (event) => {
    if (!last) return;
    moved(event.clientX - last[0], event.clientY - last[1], event);
    last = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, () => { last = null; });
}

// --- Figures ------------------------------------------------------------------------------------------------

function lightbox() {
  const dialog = make("dialog", { className: "lightbox" });
  const box = make("div", { className: "lens", tabIndex: 0 });
  const picture = make("img", { alt: "", draggable: false });
  const close = make("button", { type: "button", textContent: "Close" });
  const hint = make("p", { textContent: "Wheel or + and − zoom, drag or arrow keys move, Esc closes." });
  box.append(picture);
  dialog.append(box, hint, close);
  document.body.append(dialog);
  const zoom = new Zoom(box, (z) => { picture.style.transform = placed(z); });
  dragging(box, (dx, dy) => zoom.move(dx, dy));
  dialog.addEventListener("keydown", (event) => zoom.key(event));
  close.addEventListener("click", () => dialog.close());
  return (link) => {
    const shown = link.querySelector("img");
    Object.assign(picture, { src: link.href, alt: shown.alt });
    box.setAttribute("aria-label", shown.alt);
    dialog.showModal();
    zoom.to(1);
    box.focus();
  };
}

const enlargeable = document.querySelectorAll("a.zoom");
if (enlargeable.length) {
  const open = lightbox();
  for (const link of enlargeable) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(link);
    });
  }
}

// --- The comparison -----------------------------------------------------------------------------------------

class Swipe {
  constructor(root, data) {
    this.data = data;
    this.root = root;
    this.form = root.querySelector("form");
    this.stage = root.querySelector(".stage");
    this.handle = root.querySelector(".handle");
    this.zoom = new Zoom(this.stage, (z) => this.place(z));
    const [run, way, image] = data.start;
    this.state = { run, way, image, left: "image", right: "label" };
    this.listen();
    root.hidden = false;
    if (!this.fromAddress()) this.show();
    this.divide();
  }

  listen() {
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", (event) => {
      if (event.target.name in this.state) this.choose({ [event.target.name]: event.target.value });
    });
    this.form.opacity.addEventListener("input", () => this.divide());
    this.handle.addEventListener("input", () => this.divide());
    this.form.previous.addEventListener("click", () => this.step(-1));
    this.form.next.addEventListener("click", () => this.step(1));
    const click = (name, act) => this.root.querySelector(`.buttons [name=${name}]`).addEventListener("click", act);
    click("in", () => this.zoom.by(1.5));
    click("out", () => this.zoom.by(1 / 1.5));
    click("reset", () => this.zoom.to(1));
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.pointers();
    window.addEventListener("hashchange", () => this.fromAddress());
    window.addEventListener("resize", () => this.zoom.to(1));
  }

  pointers() {
    let moves = "divider";
    const near = (event) => Math.abs(event.clientX - this.dividerAt()) < 28;
    const follow = (event) => {
      const box = this.stage.getBoundingClientRect();
      this.handle.value = 100 * clamp((event.clientX - box.left) / box.width, 0, 1);
      this.divide();
    };
    const start = (event) => {
      moves = this.zoom.scale > 1 && !near(event) ? "picture" : "divider";
      if (moves === "divider") follow(event);
      return true;
    };
    dragging(this.stage, (dx, dy, event) => (moves === "divider" ? follow(event) : this.zoom.move(dx, dy)), start);
  }

  dividerAt() {
    const box = this.stage.getBoundingClientRect();
    return box.left + box.width * this.handle.value / 100;
  }

  key(event) {
    if (this.zoom.key(event)) return;
    const steps = { ArrowLeft: -2, ArrowRight: 2 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.handle.value = Number(this.handle.value) + steps[event.key];
    this.divide();
  }

  // An address such as #see=run/way/image/left/right opens exactly that.
  fromAddress() {
    if (!location.hash.startsWith("#see=")) return false;
    const [run, way, image, left, right] = location.hash.slice(5).split("/").map(decodeURIComponent);
    if (!this.data.runs[run]?.images[image]) return false;
    Object.assign(this.state, { run, way, image }, left && { left }, right && { right });
    this.show();
    this.root.scrollIntoView({ block: "start" });
    this.stage.focus({ preventScroll: true });
    return true;
  }

  choose(change) {
    Object.assign(this.state, change);
    this.show();
    const { run, way, image, left, right } = this.state;
    history.replaceState(null, "", "#see=" + [run, way, image, left, right].map(encodeURIComponent).join("/"));
  }

  step(by) {
    const names = Object.keys(this.run().images);
    this.choose({ image: names[(names.indexOf(this.state.image) + by + names.length) % names.length] });
  }

  run() { return this.data.runs[this.state.run]; }

  picture() { return this.run().images[this.state.image]; }

  // The addresses that a layer lays upon one another; none if something of it is lacking.
  addresses(layer) {
    const picture = this.picture(), { way } = this.state;
    const label = picture.label[way];
    const over = (mask) => mask && [picture.image, mask];
    return {
      image: picture.image && [picture.image],
      translation: picture.translation[this.data.ways[way].translator] &&
        [picture.translation[this.data.ways[way].translator]],
      label: over(label),
      truth: over(picture.truth),
      difference: label && picture.truth && [label, picture.truth],
      uncertainty: picture.uncertainty[way] && [picture.uncertainty[way]],
    }[layer];
  }

  show() {
    const { state, data } = this;
    if (!this.run().images[state.image]) state.image = Object.keys(this.run().images)[0];
    if (!this.run().ways.includes(state.way)) state.way = this.run().ways[0];
    const layers = Object.keys(data.layers).filter((layer) => this.addresses(layer));
    if (!layers.includes(state.left)) state.left = layers[0];
    if (!layers.includes(state.right)) state.right = layers.at(-1);
    this.fill("run", Object.keys(data.runs), (key) => data.runs[key].label);
    this.fill("way", this.run().ways, (way) => data.ways[way].label);
    this.fill("image", Object.keys(this.run().images), (name) => name);
    for (const side of ["left", "right"]) {
      this.fill(side, Object.keys(data.layers), (layer) => data.layers[layer] + (layers.includes(layer) ? "" : " (none)"));
      for (const option of this.form[side].options) option.disabled = !layers.includes(option.value);
      this.draw(side);
    }
    for (const name of ["run", "way"]) this.form[name].parentNode.hidden = this.form[name].options.length < 2;
    this.tell();
  }

  fill(name, values, label) {
    const select = this.form[name];
    select.replaceChildren(...values.map((value) => make("option", { value, textContent: label(value) })));
    select.value = this.state[name];
  }

  draw(side) {
    const layer = this.state[side], [width, height] = this.picture().size;
    this.stage.style.setProperty("--ratio", width / height);
    const canvas = this.stage.querySelector(`.side.${side} .canvas`);
    canvas.className = `canvas ${layer}`;
    const addresses = (this.addresses(layer) || []).filter(Boolean);
    const alt = `${this.data.layers[layer]} of ${this.state.image}`;
    const pictures = addresses.map((src, i) =>
      make("img", { src, width, height, draggable: false, alt: i === addresses.length - 1 ? alt : "", className: /\.png$|^data:image\/png/.test(src) ? "mask" : "" }));
    canvas.replaceChildren(...pictures);
    this.stage.querySelector(`.tag.${side}`).textContent = this.data.layers[layer] || "";
  }

  place(zoom) {
    for (const canvas of this.stage.querySelectorAll(".canvas")) canvas.style.transform = placed(zoom);
    this.stage.classList.toggle("enlarged", zoom.scale > 1);
    this.stage.classList.toggle("far", zoom.scale > 3);
  }

  divide() {
    const at = this.handle.value;
    this.stage.querySelector(".side.left").style.clipPath = `inset(0 ${100 - at}% 0 0)`;
    this.stage.querySelector(".side.right").style.clipPath = `inset(0 0 0 ${at}%)`;
    this.stage.querySelector(".divider").style.left = `${at}%`;
    this.stage.style.setProperty("--strength", this.form.opacity.value / 100);
  }

  tell() {
    const { image, way, left, right } = this.state, told = this.root.querySelector(".told");
    const dice = Object.entries(this.picture().dice[way] || {}).map(([name, value]) => `${name} ${value.toFixed(3)}`);
    const scored = dice.length ? `Dice: ${dice.sort().join(", ")}.` : this.data.unscored ?? "Not scored.";
    const layers = this.data.layers;
    told.replaceChildren(make("strong", { textContent: image }), ` ${this.data.ways[way].label}. ${scored} `,
      `Left: ${layers[left] || "nothing"}, right: ${layers[right] || "nothing"}. `);
    const notebook = this.run().notebooks[way];
    if (notebook) told.append(make("a", { href: notebook, textContent: "Executed notebook" }));
  }
}

const swipeData = document.getElementById("swipe-data");
if (swipeData) new Swipe(document.getElementById("swipe"), JSON.parse(swipeData.textContent));

// --- Finding a name in the reference ------------------------------------------------------------------------

const find = document.getElementById("find");
if (find) {
  find.closest("[hidden]").hidden = false;
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    let left = 0;
    for (const module of document.querySelectorAll(".module")) {
      const members = [...module.querySelectorAll(":scope > .member")];
      for (const member of members) member.hidden = wanted && !member.textContent.toLowerCase().includes(wanted);
      const found = members.filter((member) => !member.hidden).length;
      left += found;
      module.hidden = wanted && !found;
    }
    find.closest(".search").querySelector("output").textContent = wanted ? `${left} found` : "";
  });
}
