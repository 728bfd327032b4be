// Weights edited by hand: one number of a layer, chosen in the form or by its line.

import { at, make, within } from "./dom.js";
import { feature } from "./network.js";
import { t } from "./texts.js";

export class Weights {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.connection = connection;
    /** @type {any} */
    this.built = null;
    /** @type {any} the newest maps, which have the weights */
    this.maps = null;
    /** Whether the maps are those of a step of the past. */
    this.past = false;
    /** @type {(() => void) | null} */
    this.told = null;
    at("weight-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.set();
    });
    for (const id of ["weight-layer", "weight-unit"]) at(id).addEventListener("change", () => this.offer());
    at("weight-input").addEventListener("change", () => this.show());
  }

  /** @param {any} built what the server says of the network */
  build(built) {
    const other = built !== this.built;
    this.built = built;
    if (other) this.maps = null;
    at("weights").hidden = !built.layers.length || !!built.recorded;
    at("weight-layer").replaceChildren(...built.layers.map((/** @type {any} */ layer, /** @type {number} */ k) =>
      make("option", { value: String(k) }, `${k + 1} · ${layer.kind}`)));
    this.offer();
  }

  /** Name what can be chosen in the language that was chosen. */
  translate() {
    for (const option of at("weight-input").options) if (option.value === "b") option.textContent = t("bias");
    this.told?.();
  }

  /** @param {() => void} say in the language in use what came of an edit */
  tell(say) {
    this.told = say;
    say();
  }

  /** @param {any} message maps */
  take(message) {
    const first = !this.maps;
    this.maps = message;
    this.past = message.past;
    at("weight-set").disabled = this.past;
    if (first) this.offer();
    else if (document.activeElement !== at("weight-value")) this.show();
  }

  /** Choose the number of a line. @param {number} layer @param {number} unit @param {number} input */
  choose(layer, unit, input) {
    if (at("weights").hidden) return;
    at("weights").open = true;
    at("weight-layer").value = String(layer);
    at("weight-unit").value = String(unit + 1);
    this.offer();
    at("weight-input").value = String(input);
    this.show();
    at("weight-value").focus();
    at("weight-value").select();
  }

  /** @returns {{layer: number, unit: number, input: number | null}} what is chosen; input null: the bias */
  chosen() {
    const input = at("weight-input").value;
    return { layer: Number(at("weight-layer").value), unit: Math.round(Number(at("weight-unit").value)) - 1, input: input === "b" ? null : Number(input) };
  }

  /** Offer the numbers of the layer that is chosen. */
  offer() {
    const { layer } = this.chosen(), arrays = this.maps?.arrays;
    const weights = arrays?.[`weight${layer}`];
    if (!weights) return;
    const [units, inputs] = weights.shape, before = at("weight-input").value;
    at("weight-unit").max = String(units);
    at("weight-unit").value = String(Math.round(within("weight-unit")));
    const name = (/** @type {number} */ j) => layer ? String(j + 1) : this.built.flat ? feature(this.built.inputs?.[j] ?? `x${j + 1}`) : `x ${j + 1}`;
    at("weight-input").replaceChildren(
      ...Array.from({ length: inputs }, (_, j) => make("option", { value: String(j) }, name(j))),
      ...(arrays[`bias${layer}`] ? [make("option", { value: "b" }, t("bias"))] : []));
    if ([...at("weight-input").options].some((option) => option.value === before)) at("weight-input").value = before;
    this.show();
  }

  /** @returns {number | undefined} the number that is chosen, as it is now */
  value() {
    const { layer, unit, input } = this.chosen(), arrays = this.maps?.arrays;
    const weights = arrays?.[`weight${layer}`];
    if (!weights || !(unit >= 0 && unit < weights.shape[0])) return undefined;
    return input === null ? arrays[`bias${layer}`]?.data[unit] : weights.data[unit * weights.shape[1] + input];
  }

  show() {
    const value = this.value();
    at("weight-value").value = value === undefined ? "" : String(Number(value.toPrecision(7)));
    this.tell(() => { at("weight-state").textContent = ""; });
  }

  async set() {
    const { layer, unit, input } = this.chosen(), text = at("weight-value").value;
    const value = Number(text), bias = input === null;
    if (!text.trim() || !Number.isFinite(value) || this.value() === undefined) {
      return this.tell(() => { at("weight-state").textContent = t("no_number", { name: t("value") }); });
    }
    const { module } = this.built.layers[layer];
    this.connection.tell("weight", { name: `${module}.${bias ? "bias" : "weight"}`, index: bias ? [unit] : [unit, input], value });
    this.tell(() => { at("weight-state").textContent = t("weight_set"); });
  }
}
