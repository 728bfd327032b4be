// What the network answers over the plane, with the samples; and its confusion matrix.

import { at, make } from "./dom.js";
import { classColor, css, region, signed } from "./colors.js";
import { paint } from "./network.js";
import { number, t } from "./texts.js";

export class Output {
  constructor() {
    /** @type {any} */
    this.built = null;
    /** @type {any} */
    this.samples = null;
    /** @type {any} */
    this.message = null;
    this.dirty = false;
    /** Whether samples of other parts are drawn, and whether colours have no shades. */
    this.others = this.plain = false;
    /** The layer and unit that is shown instead of the output. @type {[number, number] | null} */
    this.unit = null;
    new ResizeObserver(() => this.points()).observe(at("output"));
  }

  /** @param {any} built */
  build(built) {
    Object.assign(this, { built, samples: null, message: null, unit: null });
    at("output").replaceChildren();
    if (!built.flat) return;
    this.map = make("canvas", { role: "img" });
    this.over = make("canvas", { "aria-hidden": "true" });
    this.title = make("p", {});
    this.reset = make("button", { type: "button", className: "small", hidden: true, onclick: () => this.choose(null) }, t("show_output"));
    this.reset.dataset.text = "show_output";
    this.legend = make("div", { className: "legend" });
    const choice = (/** @type {"others" | "plain"} */ key, /** @type {string} */ id) => {
      const text = make("span", {});
      text.dataset.text = id;
      text.textContent = t(id);
      return make("label", {}, make("input", { type: "checkbox", id, checked: this[key], onchange: (/** @type {any} */ event) => {
        this[key] = event.target.checked;
        this.dirty = true;
        this.points();
      } }), " ", text);
    };
    at("output").append(this.title, make("div", { className: "map" }, this.map, this.over), this.legend,
      make("div", { className: "controls" }, choice("others", "show_others"), choice("plain", "discretize")), this.reset);
    this.name();
  }

  /** @param {[number, number] | null} unit a layer and a unit; null: the output */
  choose(unit) {
    this.unit = unit;
    this.dirty = true;
    this.name();
  }

  name() {
    if (!this.built?.flat) return;
    this.reset.hidden = !this.unit;
    this.title.textContent = this.unit
      ? t("answers_of_unit", { layer: this.built.layers[this.unit[0]].output, unit: this.unit[1] + 1 })
      : t(this.built.classes == null ? "answers_quantity" : "answers");
    this.map.setAttribute("aria-label", this.title.textContent);
    const names = this.built.class_names ?? Array.from({ length: this.built.classes ?? 0 }, (_, i) => String(i));
    this.legend.replaceChildren(...names.map((/** @type {string} */ name, /** @type {number} */ k) => {
      const dot = make("i", {});
      dot.style.background = css(classColor(k));
      return make("span", {}, dot, name);
    }));
  }

  /** @param {any} message the samples of a plane */
  data(message) {
    this.samples = message.arrays;
    this.points();
  }

  /** @param {any} message maps */
  take(message) {
    this.message = message;
    this.dirty = true;
  }

  paint() {
    const output = this.message?.arrays.output;
    if (!this.dirty || !output || !this.built?.flat) return;
    this.dirty = false;
    const [count, height, width] = output.shape;
    const one = height * width;
    if (this.unit) {
      const maps = this.message.arrays[`layer${this.unit[0]}`];
      if (maps) paint(this.map, this.shades(maps.data.subarray(this.unit[1] * one, (this.unit[1] + 1) * one)), width, height);
    } else if (this.built.classes && (count > 1 || this.built.classes === 2)) {
      this.regions(output.data, count, height, width);
    } else paint(this.map, this.shades(output.data.subarray(0, one)), width, height);
    this.map.setAttribute("aria-label", `${this.title.textContent} ${t("at_step", { step: this.message.step })}`);
  }

  /** Return the bytes of a map, or of its signs alone. @param {Uint8Array} bytes */
  shades(bytes) {
    return this.plain ? bytes.map((byte) => (byte > 128 ? 255 : byte < 128 ? 1 : 128)) : bytes;
  }

  /** @param {Uint8Array} bytes @param {number} count @param {number} height @param {number} width */
  regions(bytes, count, height, width) {
    const one = height * width, canvas = this.map;
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const scale = this.message.arrays.scale.data[0];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const p = (height - 1 - y) * width + x;
        let best = 0, top = bytes[p];
        for (let k = 1; k < count; k++) if (bytes[k * one + p] > top) top = bytes[(best = k) * one + p];
        let sure = ((top - 128) / 127) * scale;  // a probability, or a score of one output
        if (count === 1) {
          const { cut } = this.built;
          best = Number(sure > cut);
          sure = cut ? (best ? sure : 1 - sure) : Math.min(1, Math.abs(sure));
        }
        pixels[y * width + x] = region(best, this.plain ? 127 : Math.round(sure * 127));
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** Draw the samples over the map. */
  points() {
    if (!this.samples || !this.built?.flat) return;
    const canvas = this.over, size = canvas.clientWidth * devicePixelRatio;
    if (!size) return;
    canvas.width = canvas.height = size;
    const context = canvas.getContext("2d");
    const { x, y, x_other, y_other } = this.samples;
    if (this.others && y_other) this.dots(context, x_other, y_other, size, "#000");
    this.dots(context, x, y, size, "#fff");
  }

  /** @param {any} context @param {any} x @param {any} y @param {number} size @param {string} edge */
  dots(context, x, y, size, edge) {
    const [left, right, bottom, top] = this.built.range;
    const labels = this.built.classes != null;
    const most = y.data.reduce((/** @type {number} */ a, /** @type {number} */ b) => Math.max(a, Math.abs(b)), 1e-30);
    for (let i = 0; i < y.data.length; i++) {
      const across = ((x.data[2 * i] - left) / (right - left)) * size;
      const up = size - ((x.data[2 * i + 1] - bottom) / (top - bottom)) * size;
      context.beginPath();
      context.arc(across, up, 3 * devicePixelRatio, 0, 2 * Math.PI);
      context.fillStyle = labels ? css(classColor(Math.max(0, y.data[i]))) : css(signed(y.data[i] / most));
      context.fill();
      context.strokeStyle = edge;
      context.lineWidth = devicePixelRatio;
      context.stroke();
    }
  }
}

/**
 * Show how often each class was taken for each.
 * @param {any} message
 * @param {any} built
 * @param {(truth: number, decided: number, place: HTMLElement) => void} open
 */
export function confusion(message, built, open) {
  const place = at("confusion");
  const { data, shape: [n] } = message.arrays.matrix;
  const names = built.class_names ?? Array.from({ length: n }, (_, i) => String(i));
  const rows = Array.from({ length: n }, (_, i) => data.subarray(i * n, (i + 1) * n));
  const right = rows.reduce((sum, row, i) => sum + row[i], 0);
  const key = message.rows < built.sizes[message.part] ? "confusion_of_first" : "confusion";
  const title = t(key, { part: t(`part_${message.part}`), n: message.rows, step: message.step.toLocaleString(), share: ((100 * right) / Math.max(1, message.rows)).toFixed(2) });
  let matrix = place.querySelector("table");
  if (!matrix || matrix.dataset.size !== String(n)) {
    matrix = make("table", { className: "confusion" },
      make("caption", {}),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, t("truth_by_decision")), ...names.map((/** @type {string} */ name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...rows.map((_, i) => make("tr", {}, make("th", { scope: "row" }, names[i]),
        ...names.map((/** @type {string} */ name, /** @type {number} */ j) => make("td", { className: i === j ? "" : "wrong" },
          make("button", { type: "button", onclick: () => open(i, j, list) })))))));
    matrix.dataset.size = String(n);
    const list = make("div", { id: "cell", "aria-live": "polite" });
    place.replaceChildren(make("div", { className: "wide" }, matrix), list);
  }
  matrix.querySelector("caption").textContent = title;
  const buttons = matrix.querySelectorAll("td button");
  rows.forEach((row, i) => {
    const total = Math.max(1, row.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0));
    row.forEach((/** @type {number} */ count, /** @type {number} */ j) => {
      const button = buttons[i * n + j];
      button.textContent = String(count);
      button.setAttribute("aria-label", t("cell", { truth: names[i], decided: names[j], n: count }));
      button.parentElement.style.setProperty("--share", `${Math.round(70 * Math.sqrt(count / total))}%`);
    });
  });
}

/** @param {number} value @returns {string} */
export const percent = (value) => `${number(100 * value, 4)} %`;
