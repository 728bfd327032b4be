// Arrays: small ones as matrices whose numbers can be clicked, large ones as pictures.

import { make, wide } from "./dom.js";
import { signed } from "./colors.js";
import { number, t } from "./texts.js";

/** Cells, and rows, of a matrix that is written out; larger ones are pictures. */
const WRITTEN = 160, TALL = 16;
/** Numbers in a line of a long column. */
const LINE = 32;

/**
 * What an array is shown with.
 * @typedef {{numbers: string, shape: number[], turned: boolean, of: string | null}} Described
 */

/**
 * Show an array.
 * @param {{data: any, shape: number[]}} array as it lies in memory
 * @param {Described} said
 * @param {[number, number] | null} image height and width of rows that are pictures
 * @param {(index: number[]) => void} clicked gets the index of a number in memory
 * @returns {HTMLElement}
 */
export function show(array, said, image, clicked) {
  const view = laid(array, said);
  const able = said.of != null && said.shape.length === array.shape.length;
  const does = able ? (/** @type {number} */ r, /** @type {number} */ c) => clicked(view.index(r, c)) : null;
  const side = image ? image[0] * image[1] : 0;
  if (side && view.rows === side && view.columns === 1) return picture(pictured(view, image), does, said);
  if (view.rows * view.columns <= WRITTEN && view.rows <= TALL) return matrix(view, does, said.numbers);
  return picture(view.columns === 1 ? wrapped(view) : view, does, said);
}

/**
 * An array as it is laid out: rows and columns, and where a number lies in memory.
 * @typedef {{rows: number, columns: number, count?: number, at: (r: number, c: number) => number,
 *   index: (r: number, c: number) => number[]}} View
 */

/** @param {{data: any, shape: number[]}} array @param {Described} said @returns {View} */
function laid({ data, shape }, said) {
  const value = (/** @type {number} */ i) => Number(data[i]);
  if (shape.length === 0) return { rows: 1, columns: 1, at: () => value(0), index: () => [] };
  if (shape.length === 1) {
    return { rows: shape[0], columns: 1, at: (r) => value(r), index: (r) => [r] };
  }
  const [rows, columns] = shape;
  if (said.turned) {
    return { rows: columns, columns: rows, at: (r, c) => value(c * columns + r), index: (r, c) => [c, r] };
  }
  return { rows, columns, at: (r, c) => value(r * columns + c), index: (r, c) => [r, c] };
}

/** @param {View} view @param {any} image @returns {View} */
function pictured(view, [height, width]) {
  return {
    rows: height, columns: width,
    at: (r, c) => view.at(r * width + c, 0), index: (r, c) => view.index(r * width + c, 0),
  };
}

/** Lay a long column out in lines. @param {View} view @returns {View} */
function wrapped(view) {
  const place = (/** @type {number} */ r, /** @type {number} */ c) => Math.min(view.rows - 1, r * LINE + c);
  return {
    rows: Math.ceil(view.rows / LINE), columns: LINE, count: view.rows,
    at: (r, c) => (r * LINE + c < view.rows ? view.at(place(r, c), 0) : NaN),
    index: (r, c) => view.index(place(r, c), 0),
  };
}

/** @param {View} view @param {((r: number, c: number) => void) | null} does @param {string} name */
function matrix(view, does, name) {
  const rows = Array.from({ length: view.rows }, (_, r) => make("tr", {},
    ...Array.from({ length: view.columns }, (_, c) => {
      const text = number(view.at(r, c));
      return make("td", {}, does
        ? make("button", { type: "button", "aria-label": `${view.index(r, c).map((i) => i + 1).join(", ")}: ${text}`, onclick: () => does(r, c) }, text)
        : make("span", {}, text));
    })));
  const inner = make("table", { className: "matrix" }, make("tbody", {}, ...rows));
  return does ? make("div", { className: "wide" }, inner) : wide(name, inner);
}

/** @param {View} view @param {((r: number, c: number) => void) | null} does @param {Described} said */
function picture(view, does, said) {
  const scale = Math.max(1, Math.min(10, Math.floor(320 / Math.max(view.rows, view.columns))));
  const canvas = make("canvas", { width: view.columns, height: view.rows, tabIndex: does ? 0 : -1, role: does ? "application" : "img" });
  canvas.style.width = `${view.columns * scale}px`;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(view.columns, view.rows);
  let most = 0;
  for (let r = 0; r < view.rows; r++) for (let c = 0; c < view.columns; c++) most = Math.max(most, Math.abs(view.at(r, c)) || 0);
  for (let r = 0, i = 0; r < view.rows; r++) {
    for (let c = 0; c < view.columns; c++, i += 4) {
      const value = view.at(r, c);
      if (Number.isNaN(value)) continue;
      const [red, green, blue] = signed(value / (most || 1));
      pixels.data.set([red, green, blue, 255], i);
    }
  }
  context.putImageData(pixels, 0, 0);
  const whole = said.shape.join(" × ");
  const cut = (view.count ?? view.rows * view.columns) < said.shape.reduce((a, b) => a * b, 1) ? t("cut", { rows: view.rows, columns: view.columns }) : "";
  const line = make("div", { className: "said", "aria-live": "polite" }, t("largest", { shape: whole, most: number(most) }) + cut);
  let row = 0, column = 0;
  const say = () => {
    if (view.count) [row, column] = [Math.floor(Math.min(view.count - 1, row * LINE + column) / LINE), Math.min(view.count - 1, row * LINE + column) % LINE];
    line.textContent = `[${view.index(row, column).map((i) => i + 1).join(", ")}] = ${number(view.at(row, column), 6)}`; };
  const place = (/** @type {PointerEvent | MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    column = Math.max(0, Math.min(view.columns - 1, Math.floor(((event.clientX - box.left) / box.width) * view.columns)));
    row = Math.max(0, Math.min(view.rows - 1, Math.floor(((event.clientY - box.top) / box.height) * view.rows)));
    say();
  };
  canvas.setAttribute("aria-label", `${said.numbers}: ${t("picture_help", { shape: whole })}`);
  canvas.addEventListener("pointermove", place);
  if (does) {
    canvas.addEventListener("click", (/** @type {MouseEvent} */ event) => { place(event); does(row, column); });
    canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (step) {
        row = Math.max(0, Math.min(view.rows - 1, row + step[0]));
        column = Math.max(0, Math.min(view.columns - 1, column + step[1]));
        say();
      } else if (event.key === "Enter" || event.key === " ") does(row, column);
      else return;
      event.preventDefault();
    });
  }
  return make("div", { className: "picture" }, canvas, line);
}
