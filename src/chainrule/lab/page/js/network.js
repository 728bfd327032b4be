// The network, drawn unit by unit: maps of what each unit answers, lines for weights.

import { at, make } from "./dom.js";
import { BYTES } from "./colors.js";
import { number, t } from "./texts.js";

const SIZE = 38, GAP = 10, ACROSS = 130, MOST = 16, ROWS = 4, ARROW = 56;
/** The width of a box that stands for all units of a layer. */
const WIDE = 60;
const SVG = "http://www.w3.org/2000/svg";

/**
 * Paint a map of bytes.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} bytes rows from below
 * @param {number} width
 * @param {number} height
 */
export function paint(canvas, bytes, width, height) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let y = 0; y < height; y++) {
    const row = (height - 1 - y) * width;
    for (let x = 0; x < width; x++) pixels[y * width + x] = BYTES[bytes[row + x]];
  }
  context.putImageData(image, 0, 0);
}

/**
 * Return an arrow from one layer to the next.
 * @param {number} from
 * @param {number} to
 * @param {number} y
 */
function arrow(from, to, y) {
  const line = document.createElementNS(SVG, "path"), tip = document.createElementNS(SVG, "path");
  line.setAttribute("class", "arrow");
  line.setAttribute("d", `M${from + 6} ${y}H${to - 12}`);
  tip.setAttribute("class", "tip");
  tip.setAttribute("d", `M${to - 13} ${y - 5}L${to - 4} ${y}L${to - 13} ${y + 5}z`);
  return [line, tip];
}

export class Network {
  /**
   * @param {(column: number, unit: number) => void} chosen a unit was clicked; column 0 is the input
   * @param {(layer: number, unit: number, input: number) => void} edited the line of a weight was clicked
   */
  constructor(chosen, edited) {
    this.chosen = chosen;
    this.edited = edited;
    this.place = at("network");
    /** @type {any[][]} */
    this.units = [];
    /** @type {SVGLineElement[][][]} */
    this.lines = [];
    /** @type {any} */
    this.message = null;
    this.dirty = false;
    /** @type {HTMLImageElement | null} the picture that is shown, or comes */
    this.image = null;
  }

  /** @param {any} built what the server says of the network */
  build(built) {
    this.message = null;
    this.units = [];
    this.lines = [];
    const sizes = [built.flat ? built.inputs?.length ?? 2 : 1, ...built.layers.map((/** @type {any} */ l) => l.units)];
    at("picture").hidden = true;
    at("picture").replaceChildren();
    this.image = null;
    if (sizes.length < 2) return this.place.replaceChildren();
    // Units are drawn where there is something to see of them; else a box has them all.
    const seen = sizes.map((n, k) => built.flat ? n <= MOST : k === 1 && built.image);
    const drawn = sizes.map((n, k) => seen[k] ? Math.min(n, MOST) : 1);
    // Weights as pictures have no lines to them, so they may stand side by side.
    const rows = drawn.map((n) => built.flat ? n : Math.min(n, ROWS));
    const tall = Math.max(...rows) * (SIZE + GAP) + 40;
    /** @type {number[]} */
    const lefts = [], rights = [];
    for (let k = 0, x = 10; k < sizes.length; k++) {
      lefts.push(x);
      rights.push(x + (seen[k] ? Math.ceil(drawn[k] / rows[k]) * (SIZE + GAP) - GAP : WIDE));
      x = built.flat ? x + ACROSS : rights[k] + ARROW;
    }
    const wide = rights.at(-1) + 40;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("width", String(wide));
    svg.setAttribute("height", String(tall));
    svg.setAttribute("aria-hidden", "true");
    const board = make("div", { className: "board" }, svg);
    board.style.width = `${wide}px`;
    board.style.height = `${tall}px`;
    const left = (/** @type {number} */ k, i = 0) => lefts[k] + Math.floor(i / rows[k]) * (SIZE + GAP);
    const top = (/** @type {number} */ k, /** @type {number} */ i) =>
      (tall - 40 - rows[k] * (SIZE + GAP)) / 2 + (i % rows[k]) * (SIZE + GAP);
    for (let k = 1; k < sizes.length; k++) {
      const detailed = built.flat && seen[k] && seen[k - 1];
      this.lines.push(!detailed ? [] : Array.from({ length: drawn[k] }, (_, i) =>
        Array.from({ length: drawn[k - 1] }, (_, j) => {
          const line = document.createElementNS(SVG, "line");
          line.setAttribute("x1", String(left(k - 1) + SIZE));
          line.setAttribute("y1", String(top(k - 1, j) + SIZE / 2));
          line.setAttribute("x2", String(left(k)));
          line.setAttribute("y2", String(top(k, i) + SIZE / 2));
          svg.append(line, this.hit(line, k - 1, i, j));
          return line;
        })));
      if (!detailed) svg.append(...arrow(rights[k - 1], lefts[k], (tall - 40 - GAP) / 2));
    }
    sizes.forEach((size, k) => {
      const column = Array.from({ length: drawn[k] }, (_, i) => {
        const canvas = make("canvas", {});
        const name = k === 0 ? (built.flat ? feature(built.inputs?.[i] ?? `x${i + 1}`) : "x") : `a⁽${raised(k)}⁾ ${i + 1}`;
        const unit = make("button", { type: "button", className: "unit", title: name,
          "aria-label": t("unit", { name }), onclick: () => this.chosen(k, i) }, canvas);
        unit.style.left = `${left(k, i)}px`;
        unit.style.top = `${top(k, i)}px`;
        unit.style.width = unit.style.height = `${SIZE}px`;
        if (!seen[k]) {
          unit.classList.add("plain");
          unit.replaceChildren(String(k ? size : built.shape.join("×")));
          unit.style.width = `${WIDE}px`;
          unit.disabled = true;
        }
        board.append(unit);
        return unit;
      });
      this.units.push(column);
      const more = seen[k] && size > drawn[k] ? t("of_units", { shown: drawn[k], all: size }) : String(size);
      const text = k === 0 ? t("input") : `${built.layers[k - 1].kind} · ${more}`;
      const under = make("div", { className: "caption", title: text }, text);
      // As wide as it can be beside the next ones, which may be close.
      const middles = sizes.map((_, j) => (lefts[j] + rights[j]) / 2);
      const room = Math.min(120, ...middles.filter((_, j) => j !== k).map((m) => Math.abs(m - middles[k]) - 4));
      under.style.left = `${middles[k] - room / 2}px`;
      under.style.width = `${room}px`;
      under.style.top = `${tall - 34}px`;
      board.append(under);
    });
    this.place.replaceChildren(board);
  }

  /**
   * Show the picture of a network's graph, as an image: it runs no script.
   * @param {string | null} svg
   * @param {string} why there is none
   */
  async picture(svg, why) {
    const place = at("picture");
    place.hidden = false;
    place.replaceChildren(svg ? "" : make("p", {}, why));
    if (!svg) return;
    const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    const image = make("img", { alt: t("picture_of"), src: url });
    this.image = image;
    try {
      await image.decode();
      if (this.image === image) place.replaceChildren(image);
    } catch (error) {
      if (this.image === image) throw error;
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  /** @param {any} message maps */
  take(message) {
    this.message = message;
    this.dirty = true;
  }

  /** Paint what is new; called once a frame. */
  paint() {
    if (!this.dirty || !this.message) return;
    this.dirty = false;
    const { arrays } = this.message;
    for (let k = 1; k < this.units.length; k++) {
      const maps = arrays[`layer${k - 1}`];
      if (maps) {
        const [, height, width] = maps.shape;
        this.units[k].forEach((unit, i) => paint(unit.firstChild,
          maps.data.subarray(i * height * width, (i + 1) * height * width), width, height));
      }
      const weights = arrays[`weight${k - 1}`];
      if (weights && this.lines[k - 1].length) this.weigh(this.lines[k - 1], weights, arrays[`bias${k - 1}`], this.units[k]);
    }
    if (arrays.pictures && this.units[1]) {
      const [count, height, width] = arrays.pictures.shape;
      this.units[1].slice(0, count).forEach((unit, i) => paint(unit.firstChild,
        arrays.pictures.data.subarray(i * height * width, (i + 1) * height * width), width, height));
    }
    if (arrays.inputs) {
      const [, height, width] = arrays.inputs.shape;
      this.units[0].forEach((unit, i) => paint(unit.firstChild,
        arrays.inputs.data.subarray(i * height * width, (i + 1) * height * width), width, height));
    } else if (arrays.output && this.units[0]?.length === 2) this.inputs(arrays.output.shape[1]);
  }

  /**
   * Return what of a line is clicked, which is broader; under the pointer it tells the weight.
   * @param {SVGLineElement} line @param {number} layer @param {number} unit @param {number} input
   */
  hit(line, layer, unit, input) {
    const path = document.createElementNS(SVG, "path"), title = document.createElementNS(SVG, "title");
    const [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map((name) => line.getAttribute(name));
    path.setAttribute("class", "hit");
    path.setAttribute("d", `M${x1} ${y1}L${x2} ${y2}`);
    path.append(title);
    path.addEventListener("pointerenter", () => {
      const weights = this.message?.arrays[`weight${layer}`];
      title.textContent = weights ? t("weight_of", { value: number(weights.data[unit * weights.shape[1] + input]) }) : "";
    });
    path.addEventListener("click", () => this.edited(layer, unit, input));
    return path;
  }

  /** @param {SVGLineElement[][]} lines @param {any} weights @param {any} biases @param {any[]} units */
  weigh(lines, weights, biases, units) {
    const { data, shape: [, across] } = weights;
    let most = 1e-9;
    for (const value of data) most = Math.max(most, Math.abs(value));
    lines.forEach((row, i) => {
      row.forEach((line, j) => {
        const value = data[i * across + j], share = value / most;
        line.setAttribute("stroke", share < 0 ? "#d9741a" : "#1470a3");
        line.setAttribute("stroke-width", (0.5 + 4 * Math.abs(share)).toFixed(2));
        line.setAttribute("stroke-opacity", (0.15 + 0.75 * Math.abs(share)).toFixed(2));
      });
      if (biases) units[i].title = `b = ${number(biases.data[i])}; w = ${[...data.subarray(i * across, (i + 1) * across)].map((v) => number(v, 3)).join(", ")}`;
    });
  }

  /** Paint the two inputs, which are the plane's own axes. @param {number} size */
  inputs(size) {
    const ramp = (/** @type {number} */ i) => 1 + Math.round((i / (size - 1)) * 254);
    const across = Uint8Array.from({ length: size * size }, (_, p) => ramp(p % size));
    const up = Uint8Array.from({ length: size * size }, (_, p) => ramp(Math.floor(p / size)));
    paint(this.units[0][0].firstChild, across, size, size);
    paint(this.units[0][1].firstChild, up, size, size);
  }
}

/** Return a function of the features as formulas have it: x₁², x₁x₂, sin x₁. @param {string} term */
export const feature = (term) => term.replace(/\s/g, "")
  .replace(/\^(\d+)/g, (_, n) => raised(Number(n))).replace(/x(\d+)/g, (_, n) => `x${lowered(Number(n))}`)
  .replace(/(sin|cos)\((.*?)\)/g, "$1 $2").replace(/\*/g, (_, at, all) => (/^(sin|cos)/.test(all.slice(at + 1)) || /(sin|cos)/.test(all.slice(0, at)) ? " · " : ""));

/** @param {number} n */
const lowered = (n) => String(n).replace(/\d/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[Number(d)]);

/** @param {number} n */
export const raised = (n) => String(n).replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(d)]);
