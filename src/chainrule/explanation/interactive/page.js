/* The page of an explanation: cells that are chosen, paths that light up, steps. */

import { Entries, indexOf, placeOf, sizeOf } from "./entries.js";
import { Panel, element, exact, said, slopeName } from "./panel.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const words = read("words");
const entries = new Entries(read("entries"));
const [aside, tip, live] = ["path", "tip", "live"].map((id) => document.getElementById(id));

/** Rows and columns of a large array that are seen at a time, as Python has them. */
const WINDOW = 8;
/** Digits of the largest number of a window. */
const DIGITS = 4;
/** A network of up to so many numbers is gone through one by one. */
const STEPPED = 600;

// -- tables ---------------------------------------------------------------------------

/* A table shows the numbers of a value (or of its derivative). Which element a cell
 * is follows from its row and column, and from where a window stands. */
const shows = new WeakMap();
const tables = [...document.querySelectorAll("table[data-v]")];
for (const table of tables) {
  shows.set(table, {
    v: Number(table.dataset.v),
    kind: table.dataset.kind,
    columns: "columns" in table.dataset,
    at: null,
  });
}

/** The element of a cell: `{ v, k, kind }`. */
function elementOf(cell) {
  const table = cell.closest("table"), { v, kind, columns, at } = shows.get(table);
  const { shape } = entries.values[v];
  const [r, c] = [cell.parentNode.rowIndex, cell.cellIndex];
  if (at !== null) return { v, kind, k: at.place(r, c) };
  const k = shape.length < 2 ? r + c : columns ? c * shape[1] + r : r * shape[1] + c;
  return { v, kind, k };
}

/** The cell of an element in a table; undefined: it is not in sight there. */
function cellOf(table, k) {
  const { at, columns, v } = shows.get(table), { shape } = entries.values[v];
  if (at !== null) {
    const found = at.find(k);
    return found && table.rows[found[0]]?.cells[found[1]];
  }
  if (!shape.length) return table.rows[0].cells[0];
  if (shape.length === 1) {
    return table.rows.length > 1 ? table.rows[k]?.cells[0] : table.rows[0].cells[k];
  }
  const [i, j] = indexOf(shape, k);
  return (columns ? table.rows[j]?.cells[i] : table.rows[i]?.cells[j]) ?? undefined;
}

const numberOf = ({ v, k, kind }) =>
  kind === "value" ? entries.number(v, k) : entries.slope(v, k);
const nameOf = ({ v, k, kind }) =>
  kind === "value" ? entries.name(v, k) : slopeName(entries, v, k);

// -- windows into large arrays --------------------------------------------------------

/** Numbers as text, with the digits that fit the largest of them. */
function spelled(numbers) {
  const top = Math.max(...numbers.map((x) => (Number.isFinite(x) ? Math.abs(x) : 0)));
  if (numbers.every(Number.isInteger) && top < 1e6) return numbers.map(String);
  const exponent = top ? Math.floor(Math.log10(top)) : 0;
  if (exponent < -3 || exponent > 5) {
    return numbers.map((x) => (x === 0 ? "0" : exact(Number(x.toExponential(DIGITS - 2)))));
  }
  const places = Math.max(DIGITS - 1 - exponent, 0);
  return numbers.map((x) => (x === 0 ? "0" : x.toFixed(places)));
}

/** A part of a large array that can be moved: its last two axes, the others chosen. */
class Window {
  constructor(box) {
    this.table = box.querySelector("table");
    this.shown = shows.get(this.table);
    this.shape = entries.values[this.shown.v].shape;
    const { columns } = this.shown, rank = this.shape.length;
    // On paper a sample is a column; of many samples one is shown, which the slider sets.
    this.sampled = columns && rank > 1 && (rank > 2 || this.shape[0] > WINDOW);
    this.fixed = this.shape.map(() => 0);
    const whole = this.sampled ? [0] : [];
    const axes = this.shape.map((_, axis) => axis).filter((axis) => !whole.includes(axis));
    this.axes = axes.slice(-2);
    if (columns && rank === 2 && !this.sampled) this.axes.reverse();
    // What has one axis is a column; a number for each sample is a row.
    this.upright = this.axes.length < 2 && !(columns && rank < 2);
    this.start = [0, 0];
    this.drawn = false; // it shows the first numbers as Python has written them
    this.shown.at = this;
    const controls = element("div", { class: "controls" });
    for (const axis of axes.slice(0, -2)) {
      const label = said(words.axis, { axis });
      this.#control(controls, label, this.shape[axis] - 1, (i) => (this.fixed[axis] = i));
    }
    this.inputs = this.axes.map((axis, way) => {
      const most = Math.max(this.shape[axis] - WINDOW, 0);
      const across = way || (this.axes.length < 2 && !this.upright);
      const label = across ? words.column : words.row;
      return this.#control(controls, label, most, (i) => (this.start[way] = i));
    });
    box.append(controls);
    prepare(this.table);
  }

  #control(controls, text, most, set) {
    const input = element("input", { type: "number", min: 0, max: most, value: 0 });
    input.addEventListener("change", () => {
      input.value = Math.min(Math.max(Math.round(Number(input.value)) || 0, 0), most);
      set(Number(input.value));
      this.draw();
    });
    if (most > 0) controls.append(element("label", {}, text, input));
    return input;
  }

  /** The place in memory of a cell. */
  place(r, c) {
    const index = [...this.fixed];
    const offsets = this.axes.length > 1 ? [r, c] : [this.upright ? r : c];
    this.axes.forEach((axis, way) => (index[axis] = this.start[way] + offsets[way]));
    return placeOf(this.shape, index);
  }

  /** Row and column of a place in memory; undefined: out of sight. */
  find(k) {
    const index = indexOf(this.shape, k);
    const others = index.every((i, axis) => this.axes.includes(axis) || i === this.fixed[axis]);
    if (!others) return undefined;
    const at = this.axes.map((axis, way) => index[axis] - this.start[way]);
    if (at.some((i) => i < 0 || i >= WINDOW)) return undefined;
    return at.length === 2 ? at : this.upright ? [at[0], 0] : [0, at[0]];
  }

  /** Move so that a place in memory is in sight. */
  reveal(k) {
    if (this.find(k)) return;
    const index = indexOf(this.shape, k);
    index.forEach((i, axis) => {
      if (!this.axes.includes(axis)) this.fixed[axis] = i;
    });
    this.axes.forEach((axis, way) => {
      const most = Math.max(this.shape[axis] - WINDOW, 0);
      this.start[way] = Math.min(Math.max(index[axis] - WINDOW / 2, 0), most);
      this.inputs[way].value = this.start[way];
    });
    this.draw();
  }

  draw() {
    this.drawn = true;
    const sizes = this.axes.map((axis) => Math.min(this.shape[axis], WINDOW));
    const [rows, columns] =
      sizes.length === 2 ? sizes : this.upright ? [sizes[0], 1] : [1, sizes[0]];
    const { v, kind } = this.shown, numbers = [];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) numbers.push(numberOf({ v, kind, k: this.place(r, c) }));
    }
    const texts = spelled(numbers.map((x) => x ?? NaN));
    const body = element("tbody");
    for (let r = 0; r < rows; r++) {
      const row = element("tr");
      for (let c = 0; c < columns; c++) row.append(element("td", {}, texts[r * columns + c]));
      body.append(row);
    }
    this.table.replaceChildren(body);
    prepare(this.table);
    reach([this.table.parentNode]);
    if (chosen !== null) light(this.table);
  }

  setSample(s) {
    if (!this.sampled) return;
    this.fixed[0] = s;
    if (this.drawn) this.draw();
  }
}

// -- keyboard: one cell of a table is in the order of tabs ------------------------------

function prepare(table) {
  table.setAttribute("role", "grid");
  if (table.rows[0]?.cells[0]) table.rows[0].cells[0].tabIndex = 0;
}

const MOVES = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
};

function move(cell, key) {
  const table = cell.closest("table");
  let r = cell.parentNode.rowIndex, c = cell.cellIndex;
  if (key === "Home") c = 0;
  else if (key === "End") c = cell.parentNode.cells.length - 1;
  else [r, c] = [r + MOVES[key][0], c + MOVES[key][1]];
  const next = table.rows[r]?.cells[c];
  if (next) focusCell(next);
}

function focusCell(cell) {
  const table = cell.closest("table");
  for (const other of table.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus({ preventScroll: true });
  cell.scrollIntoView({ block: "nearest", inline: "nearest" });
}

const cellAt = (event) => {
  const cell = event.target.closest?.("td");
  return cell && shows.has(cell.closest("table")) ? cell : null;
};

// -- choosing -------------------------------------------------------------------------

let chosen = null, lit = new Map(), came = null;

const panel = new Panel(entries, words, (v, k, kind) => choose({ v, k, kind }, true));

/** Show the path of an element; `go`: bring its cell into sight too. */
function choose(what, go = false) {
  const made = panel.of(what.v, what.k, what.kind);
  if (chosen === null) came = document.activeElement;
  chosen = what;
  lit = new Map();
  const mark = (v, k, kind, style) => {
    const key = `${kind} ${v}`;
    if (!lit.has(key)) lit.set(key, new Map());
    if (!lit.get(key).has(k)) lit.get(key).set(k, style);
  };
  mark(what.v, what.k, what.kind, "self");
  for (const step of made.origins) mark(step.v, step.k, "value", "from");
  for (const step of made.path.steps) {
    mark(step.v, step.k, "value", "to");
    mark(step.v, step.k, "gradient", "back");
  }
  const close = element("button", { type: "button", class: "close", "aria-label": words.close }, "×");
  close.addEventListener("click", closePath);
  aside.replaceChildren(close, ...made.parts);
  aside.hidden = false;
  aside.scrollTop = 0;
  document.body.classList.add("open");
  live.textContent = made.sentence;
  if (go) bring(what);
  tables.forEach(light);
  at();
}

function closePath() {
  if (chosen === null) return;
  chosen = null;
  lit = new Map();
  aside.hidden = true;
  aside.replaceChildren();
  document.body.classList.remove("open");
  tables.forEach(light);
  live.textContent = words.closed;
  if (came?.isConnected) came.focus({ preventScroll: true });
}

/** Light up the cells of a path in a table. */
function light(table) {
  for (const cell of table.querySelectorAll("[data-lit]")) delete cell.dataset.lit;
  const { v, kind } = shows.get(table);
  for (const [k, style] of lit.get(`${kind} ${v}`) ?? []) {
    const cell = cellOf(table, k);
    if (cell) cell.dataset.lit = style;
  }
}

/** Bring the cell of an element into sight: fold open, move windows, scroll. */
function bring({ v, k, kind }) {
  const own = tables.filter((t) => shows.get(t).v === v && shows.get(t).kind === kind);
  // Where it is computed, rather than where it is used.
  const table = own.find((t) => t.closest(".given")) ?? own.findLast((t) => !t.closest(".given"));
  if (!table) return;
  for (let up = table.closest("details"); up; up = up.parentNode.closest("details")) up.open = true;
  shows.get(table).at?.reveal(k);
  cellOf(table, k)?.scrollIntoView({ block: "center", inline: "nearest" });
}

// -- the number under the pointer, or in focus ------------------------------------------

function point(cell) {
  const what = elementOf(cell), text = `${nameOf(what)} = ${exact(numberOf(what))}`;
  const { formula, slope } = entries.values[what.v];
  const lines = [text, what.kind === "value" ? formula : slope];
  tip.replaceChildren(...lines.filter(Boolean).map((line) => element("div", {}, line)));
  tip.hidden = false;
  const box = cell.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const x = Math.min(box.left, document.documentElement.clientWidth - own.width - 8);
  const above = box.top - own.height - 6;
  tip.style.left = `${Math.max(x, 4)}px`;
  tip.style.top = `${above > 4 ? above : box.bottom + 6}px`;
  return text;
}

document.addEventListener("pointerover", (event) => {
  const cell = cellAt(event);
  if (cell) point(cell);
  else tip.hidden = true;
});
document.addEventListener("focusin", (event) => {
  const cell = cellAt(event);
  if (cell) cell.setAttribute("aria-label", point(cell));
  else tip.hidden = true;
});
document.addEventListener("scroll", () => (tip.hidden = true), { capture: true, passive: true });
document.addEventListener("click", (event) => {
  const cell = cellAt(event);
  if (!cell) return;
  focusCell(cell);
  choose(elementOf(cell));
});
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") {
    tip.hidden = true;
    closePath();
    return;
  }
  const cell = cellAt(event);
  if (!cell) return;
  if (event.key in MOVES || event.key === "Home" || event.key === "End") move(cell, event.key);
  else if (event.key === "Enter" || event.key === " ") choose(elementOf(cell));
  else return;
  event.preventDefault();
});

// -- step by step -----------------------------------------------------------------------

/* All numbers in the order in which they are worked out: forwards the values, then back
 * from the loss their derivatives. */
const order = [];
const seen = (v, kind) => tables.some((t) => shows.get(t).v === v && shows.get(t).kind === kind);
for (const [kind, beside] of [["value", false], ["gradient", false], ["value", true]]) {
  const all = entries.values.map((_, v) => v).filter((v) => seen(v, kind));
  const ids = all.filter((v) => Boolean(entries.values[v].beside) === beside);
  const some = kind === "value" ? ids.filter((v) => entries.values[v].formula) : ids.reverse();
  for (const v of some) {
    const many = sizeOf(entries.values[v].shape);
    for (let k = 0; k < many && order.length <= STEPPED; k++) order.push({ v, k, kind });
  }
}
const same = (a, b) => a && a.v === b.v && a.k === b.k && a.kind === b.kind;
const turn = order.findIndex((what) => what.kind === "gradient");
let place = -1;

function at() {
  const found = order.findIndex((what) => same(chosen, what));
  if (found >= 0) place = found;
  const values = { k: place + 1, n: order.length };
  const last = place >= 0 && entries.values[order[place].v].beside;
  const back = place >= turn && turn >= 0 ? words.backward : words.forward;
  const direction = last ? words.update : back;
  document.getElementById("at").textContent =
    place < 0 ? "" : said(words.step, { ...values, direction });
}

const GO = {
  first: () => 0,
  back: () => Math.max(place - 1, 0),
  on: () => Math.min(place + 1, order.length - 1),
  turn: () => (turn < 0 ? order.length - 1 : turn),
};
const tools = document.querySelector(".tools");
if (order.length && order.length <= STEPPED) {
  tools.hidden = false;
  tools.addEventListener("click", (event) => {
    const go = event.target.closest("button")?.dataset.go;
    if (!go) return;
    place = GO[go]();
    choose(order[place], true);
  });
  tools.addEventListener("keydown", (event) => {
    const go = { ArrowRight: "on", ArrowLeft: "back", Home: "first", End: "turn" }[event.key];
    if (!go) return;
    event.preventDefault();
    tools.querySelector(`[data-go=${go}]`).focus();
    place = GO[go]();
    choose(order[place], true);
  });
}

// -- start ------------------------------------------------------------------------------

tables.filter((table) => !table.closest("[data-window]")).forEach(prepare);
const windows = [...document.querySelectorAll("[data-window]")]
  .filter((box) => box.querySelector("table[data-v]"))
  .map((box) => new Window(box));

/* A window is drawn when it comes into sight: a large network has hundreds of them. */
const sight = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      const { at } = shows.get(target);
      if (isIntersecting && !at.drawn) at.draw();
    }
  },
  { rootMargin: "200px" },
);
windows.forEach((each) => sight.observe(each.table));

const slider = document.getElementById("sample");
if (windows.some((each) => each.sampled) && Number(slider.max) > 0) {
  const which = document.getElementById("which"), n = Number(slider.max) + 1;
  const show = () => (which.textContent = said(words.sample, { s: Number(slider.value) + 1, n }));
  document.querySelector(".samples").hidden = false;
  slider.addEventListener("input", () => {
    show();
    windows.forEach((each) => each.setSample(Number(slider.value)));
  });
  show();
}

/** Which sections are folded is kept, where the browser keeps anything for a file. */
const KEY = `chainrule ${document.title}`;
const folds = [...document.querySelectorAll("main > details")];
try {
  const closed = JSON.parse(localStorage.getItem(KEY) ?? "[]");
  folds.forEach((fold) => (fold.open = !closed.includes(fold.id)));
  folds.forEach((fold) =>
    fold.addEventListener("toggle", () => {
      const ids = folds.filter((each) => !each.open).map((each) => each.id);
      try {
        localStorage.setItem(KEY, JSON.stringify(ids));
      } catch { /* the browser keeps nothing */ }
    }),
  );
} catch { /* nothing is kept, and all is open */ }

/** A link into a folded section opens it. */
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = target?.closest("details");
  if (fold) fold.open = true;
  target?.scrollIntoView();
}
addEventListener("hashchange", unfold);
if (location.hash) unfold();

/** All sections are on paper. */
let before = [];
addEventListener("beforeprint", () => {
  before = folds.map((fold) => fold.open);
  folds.forEach((fold) => (fold.open = true));
});
addEventListener("afterprint", () => folds.forEach((fold, i) => (fold.open = before[i])));

/** What scrolls can be reached by the keyboard: all are measured before one is changed. */
function reach(some) {
  const scroll = some.map((box) => box.scrollWidth > box.clientWidth);
  some.forEach((box, i) => {
    const own = scroll[i] && !box.querySelector("[tabindex='0'], a, button, input");
    if (own !== box.hasAttribute("tabindex")) own ? (box.tabIndex = 0) : box.removeAttribute("tabindex");
  });
}
const sizes = new ResizeObserver((seen) => reach(seen.map(({ target }) => target)));
const boxes = [...document.querySelectorAll(".scroll:not([data-keys])")];
boxes.forEach((box) => sizes.observe(box));

/* Of what is not drawn yet nobody is told the size: it is asked for when there is time. */
const AT_ONCE = 32, SOON = { timeout: 200 }; // a page at work may never have time
let asked = boxes.length;
function reachRest(deadline) {
  do reach(boxes.slice(asked, (asked += AT_ONCE)));
  while (asked < boxes.length && deadline.timeRemaining() > 5);
  if (asked < boxes.length) requestIdleCallback(reachRest, SOON);
  else document.documentElement.dataset.reached = "";
}
function reachAll() {
  const waits = asked < boxes.length;
  asked = 0;
  delete document.documentElement.dataset.reached;
  if (boxes.length && !waits) requestIdleCallback(reachRest, SOON);
}
document.querySelectorAll("main details").forEach((fold) => fold.addEventListener("toggle", reachAll));
let width = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width !== width) reachAll();
  width = contentRect.width;
}).observe(document.querySelector("main"));
addEventListener("resize", reachAll);
reachAll();
document.documentElement.dataset.ready = "";
