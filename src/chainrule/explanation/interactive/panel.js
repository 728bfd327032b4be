/* What is shown of one number: what it is computed from, and the chain rule to it.
 *
 * Texts go into the page as text, never as HTML.
 */

import { FOLLOWED, indexOf } from "./entries.js";

/** Steps that are written out, nearest first. */
const STEPS = 16;

/** A text with `{name}` filled in. */
export const said = (text, values) =>
  text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? values[key] : whole));

/** A number as Python writes it: all digits that tell it from its neighbours. */
export function exact(x) {
  if (x === null || x === undefined) return "?";
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (Object.is(x, -0)) return "-0";
  const text = String(x);
  return text.includes("e") ? text.replace(/e([+-])(\d)$/, "e$10$2") : text;
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** ∂ℒ/∂z⁽¹⁾[0, 3] */
export const slopeName = (entries, v, k) => `∂ℒ/∂${entries.name(v, k)}`;

export class Panel {
  /** `choose(v, k, kind)` is called for a name that is clicked in the panel. */
  constructor(entries, words, choose) {
    Object.assign(this, { entries, words, choose });
  }

  /** The content of the panel for an element, and a sentence that says it. */
  of(v, k, kind) {
    const path = this.entries.path(v, k);
    const origins = this.entries.origins(v, k);
    const parts = [this.#head(v, k, kind, path)];
    const forward = this.#forward(v, k, origins);
    const backward = this.entries.values[v].beside
      ? element("p", {}, this.words.beside) : this.#backward(path);
    parts.push(...(kind === "gradient" ? [backward, forward] : [forward, backward]));
    return { parts, path, origins, sentence: this.#sentence(v, k, kind, path, origins) };
  }

  #head(v, k, kind, path) {
    const { entries } = this;
    const title = kind === "gradient" ? slopeName(entries, v, k) : entries.name(v, k);
    const number = kind === "gradient" ? path.steps[0].gradient : entries.number(v, k);
    const head = element("div", { class: "head" });
    head.append(element("h2", {}, `${title} = ${exact(number)}`));
    const value = entries.values[v];
    if (kind === "gradient" && value.slope && !value.slope.startsWith("∂")) {
      const index = indexOf(value.shape, k).join(", ");
      head.append(element("p", { class: "formula" }, `${value.slope}[${index}] = ${title}`));
    }
    if (value.formula) head.append(element("p", { class: "formula" }, value.formula));
    if (value.name) {
      head.append(element("p", {}, said(this.words.name, { name: value.name })));
    }
    return head;
  }

  #sentence(v, k, kind, path, origins) {
    const { entries, words } = this;
    if (kind === "gradient") {
      return said(words.said_slope, {
        slope: slopeName(entries, v, k),
        value: exact(path.steps[0].gradient),
        many: path.steps[0].terms.length,
      });
    }
    const many = origins[0].terms.length;
    const values = { name: entries.name(v, k), value: exact(entries.number(v, k)), many };
    if (many) return said(words.said, values);
    return said(entries.isGiven(v) ? words.said_given : words.said_still, values);
  }

  #button(v, k, kind, text) {
    const made = element("button", { type: "button", class: "name" }, text);
    const { slopeOf } = this.entries.values[v];  // ∂ℒ/∂θ in an update
    const [id, what] = slopeOf === undefined ? [v, kind] : [slopeOf, "gradient"];
    made.addEventListener("click", () => this.choose(id, k, what));
    return made;
  }

  // -- forward ------------------------------------------------------------------------

  #forward(v, k, origins) {
    const { entries, words } = this;
    const part = element("section", {}, element("h3", {}, words.from));
    if (!origins[0].terms.length) {
      const whole = entries.values[v].whole;
      part.append(element("p", {}, origins[0].left ? this.#leftOut(v, k)
        : whole ? words.whole : entries.isGiven(v) ? words.given : words.still));
      return part;
    }
    const steps = origins.filter((step) => step.terms.length);
    for (const step of steps.slice(0, STEPS)) part.append(this.#computed(step));
    if (steps.length > STEPS) part.append(this.#more(steps.length - STEPS));
    return part;
  }

  #computed({ v, k, terms, left }) {
    const { entries, words } = this;
    const name = entries.name(v, k);
    const lines = element("ul", {});
    for (const t of terms.slice(0, FOLLOWED)) {
      const line = element("li", {});
      line.append(this.#button(t.v, t.k, "value", entries.name(t.v, t.k)));
      const number = entries.number(t.v, t.k);
      if (number !== null) line.append(` = ${exact(number)}`);
      const from = entries.name(t.v, t.k);
      line.append(element("span", { class: "local" }, `∂${name}/∂${from} = ${exact(t.d)}`));
      lines.append(line);
    }
    if (terms.length > FOLLOWED) {
      lines.append(element("li", {}, said(words.more, { many: terms.length - FOLLOWED })));
    }
    const made = element("div", { class: "step" });
    const head = element("p", {}, this.#button(v, k, "value", name));
    head.append(` = ${exact(entries.number(v, k))}`);
    made.append(head);
    if (entries.values[v].formula) {
      made.append(element("p", { class: "formula" }, entries.values[v].formula));
    }
    made.append(lines);
    if (left) made.append(element("p", { class: "left" }, this.#leftOut(v, k)));
    return made;
  }

  // -- backward -----------------------------------------------------------------------

  #backward(path) {
    const part = element("section", {}, element("h3", {}, this.words.chain));
    const shown = path.steps.slice(0, STEPS);
    if (path.steps.length > STEPS) part.append(this.#more(path.steps.length - STEPS));
    for (const step of [...shown].reverse()) part.append(this.#equation(step));
    return part;
  }

  /** ∂ℒ/∂u = ∂ℒ/∂v · ∂v/∂u + …, in symbols, in numbers, and what they come to. */
  #equation(step) {
    const { entries, words } = this;
    const left = slopeName(entries, step.v, step.k);
    const made = element("div", { class: "step equation" });
    const line = (sign, ...content) => {
      const row = element("p", {}, element("span", { class: "sign" }, sign), ...content);
      made.append(row);
    };
    made.append(element("p", {}, this.#button(step.v, step.k, "gradient", left)));
    const terms = step.terms.slice(0, FOLLOWED);
    const reads = (t) => t.v === entries.loss;
    const formula = entries.values[entries.loss].formula;
    if (step.v === entries.loss) {
      line("=", `1   (${words.loss})`);
      return made;
    }
    if (step.left) {
      if (step.gradient !== null) line("=", exact(step.gradient));
      made.append(element("p", { class: "left" }, this.#leftOut(step.v, step.k)));
      return made;
    }
    if (!terms.length || step.terms.every((t) => t.g * t.d === 0)) {
      line("=", "0");
      const near = terms[0] && entries.values[terms[0].v].formula;
      const why = near ? said(words.nothing, { formula: near }) : words.unread;
      made.append(element("p", { class: "why" }, why));
      return made;
    }
    if (terms.every(reads)) {
      line("=", element("b", {}, exact(step.gradient)), `   (${formula})`);
      return made;
    }
    terms.forEach((t, i) => {
      const to = entries.name(t.v, t.k), from = entries.name(step.v, step.k);
      const up = this.#button(t.v, t.k, "gradient", `∂ℒ/∂${to}`);
      const local = `∂${to}/∂${from}`;
      line(i ? "+" : "=", ...(reads(t) ? [words.direct] : [up, ` · ${local}`]));
    });
    if (step.more) line("+", said(words.more, { many: step.more }));
    terms.forEach((t, i) => {
      line(i ? "+" : "=", reads(t) ? exact(t.d) : `${exact(t.g)} · ${exact(t.d)}`);
    });
    if (step.more) line("+", exact(step.rest));
    if (terms.length > 1 || step.more) {
      terms.forEach((t, i) => line(i ? "+" : "=", exact(t.g * t.d)));
      if (step.more) line("+", exact(step.rest));
    }
    line("=", element("b", {}, exact(step.gradient)));
    return made;
  }

  #more(many) {
    return element("p", { class: "more" }, said(this.words.more, { many }));
  }

  #leftOut(v, k) {
    const { name, symbol, shape } = this.entries.values[v];
    const index = indexOf(shape, k);
    const inside = index.length === 1 ? `${index[0]},` : index.join(", ");
    const call = `explanation.element(${JSON.stringify(name ?? symbol)}, (${inside}))`;
    return said(this.words.left, { call });
  }
}
