// Curves of losses and scores, and the table behind them.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { at, table } from "./dom.js";
import { CLASSES, css } from "./colors.js";
import { number, t } from "./texts.js";

/** @returns {string} the colour of text, for axes */
const ink = () => getComputedStyle(document.body).color;

class Chart {
  /** @param {HTMLElement} place @param {boolean} logarithmic */
  constructor(place, logarithmic) {
    this.place = place;
    this.logarithmic = logarithmic;
    /** @type {any} */
    this.plot = null;
    this.names = "";
    new ResizeObserver(() => this.fit()).observe(place);
  }

  fit() {
    const width = this.place.clientWidth;
    if (this.plot && width) this.plot.setSize({ width, height: 200 });
  }

  clear() {
    this.plot?.destroy();
    this.plot = null;
    this.place.replaceChildren();
  }

  /**
   * Draw curves over steps.
   * @param {ArrayLike<number>} x
   * @param {{label: string, data: ArrayLike<number>}[]} curves
   */
  draw(x, curves) {
    const names = curves.map((c) => c.label).join("|") + ink();
    const positive = this.logarithmic && curves.every((c) => Array.prototype.every.call(c.data, (v) => !(v <= 0)));
    const key = `${names}|${positive}|${x.length < 2}`;
    const data = [Array.from(x), ...curves.map((c) => Array.from(c.data, (v) => Number.isFinite(v) ? v : null))];
    if (this.plot && key === this.names) return this.plot.setData(data);
    this.clear();
    this.names = key;
    const axis = { stroke: ink(), grid: { stroke: "#8883" }, ticks: { stroke: "#8886" } };
    const options = {
      width: this.place.clientWidth || 300, height: 200,
      legend: { live: true }, cursor: { drag: { x: true, y: false } },
      scales: { x: { time: false }, y: positive ? { distr: 3 } : {} },
      axes: [{ ...axis, values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map((v) => v.toLocaleString()) }, { ...axis, size: 64, values: (/** @type {any} */ _, /** @type {(number|null)[]} */ ticks) => ticks.map((v) => v == null ? "" : number(v, 3)) }],
      series: [{ label: t("step_axis") }, ...curves.map((c, i) => ({
        label: c.label, stroke: css(CLASSES[i]), width: 1.5, spanGaps: true,
        dash: i ? [[6, 3], [2, 3]][i - 1] : undefined, points: { show: curves[0].data.length < 2 },
        value: (/** @type {any} */ _, /** @type {number|null} */ v) => v == null ? "—" : number(v),
      }))],
    };
    this.plot = new uPlot(/** @type {any} */ (options), data, this.place);
  }
}


export class Curves {
  constructor() {
    this.losses = new Chart(at("loss-chart"), true);
    this.scores = new Chart(at("score-chart"), false);
    /** @type {any} */
    this.message = null;
    at("epochs").addEventListener("toggle", () => this.table());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() {
    this.message = null;
    this.losses.clear();
    this.scores.clear();
    at("score-figure").hidden = true;
    this.table();
  }

  /** @param {any} message */
  take(message) {
    this.message = message;
    this.draw();
    this.table();
  }

  draw() {
    if (!this.message) return;
    const { arrays } = this.message;
    this.losses.draw(arrays.steps.data, [{ label: t("loss_of_steps"), data: arrays.loss.data }]);
    const x = arrays.epoch_step?.data ?? [];
    const scores = Object.keys(arrays).filter((name) => name.startsWith("epoch_validation_") && name !== "epoch_validation_loss");
    const validation = arrays.epoch_validation_loss;
    const lines = scores.map((name) => ({ label: label(name.slice(6)), data: arrays[name].data }));
    if (validation) lines.push({ label: label("validation_loss"), data: validation.data });
    at("score-figure").hidden = !lines.length || !x.length;
    at("score-title").textContent = lines.map((line) => line.label).join(", ");
    if (lines.length && x.length) this.scores.draw(x, lines);
  }

  /** Fill the table behind the charts, where it is open. */
  table() {
    const place = at("epochs").querySelector("div");
    if (!at("epochs").open) return;
    const arrays = this.message?.arrays ?? {};
    const names = Object.keys(arrays).filter((n) => n.startsWith("epoch_") && n !== "epoch_step");
    const rows = [];
    const count = arrays.epoch_step?.data.length ?? 0;
    for (let i = count - 1; i >= 0 && rows.length < 50; i--) {
      rows.push([arrays.epoch_step.data[i].toLocaleString(), ...names.map((n) => number(arrays[n].data[i]))]);
    }
    place.replaceChildren(table([t("step_axis"), ...names.map((n) => label(n.slice(6)))], rows));
  }
}

/** @param {string} name of a column */
export function label(name) {
  const known = t(`column_${name}`);
  if (known !== `column_${name}`) return known;
  return name.replace("validation_", `${t("validation")} `).replaceAll("_", " ");
}

