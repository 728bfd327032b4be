// One sample, forward and back: equation by equation, and the path of any number.

import { at, make, putMath, table } from "./dom.js";
import { lines } from "./form.js";
import { show } from "./numbers.js";
import { Saliency, shownToken } from "./saliency.js";
import { currentLanguage, number, t } from "./texts.js";

const PARTS = ["train", "validation", "test"];

/** Let the keyboard scroll equations that are cut, and have nothing to focus. @param {HTMLElement} place */
function reachable(place) {
  for (const box of place.querySelectorAll(".equation")) {
    if (box.scrollWidth > box.clientWidth && !box.querySelector('button, canvas[tabindex="0"], .wide[tabindex="0"]')) /** @type {any} */ (box).tabIndex = 0;
  }
}

export class Inside {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.connection = connection;
    /** @type {any} */
    this.built = null;
    /** @type {any} */
    this.message = null;
    this.place = 0;
    /** The number whose path is shown: name, index, whether in evaluation mode. @type {[string, number[], boolean] | null} */
    this.followed = null;
    /** Says in the language in use what came in place of a sample. @type {(() => void) | null} */
    this.failed = null;
    this.saliency = new Saliency(connection, (name, index) => this.path(name, index, true));
    new ResizeObserver(() => reachable(at("inside"))).observe(at("inside"));
    at("open").addEventListener("click", () => this.open());
    at("row").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") this.open();
    });
    at("first").addEventListener("click", () => this.go(1));
    at("back").addEventListener("click", () => this.go(this.place - 1));
    at("next").addEventListener("click", () => this.go(this.place + 1));
    at("last").addEventListener("click", () => this.go(this.message.steps.length));
  }

  /** @param {any} built */
  build(built) {
    this.built = built;
    this.clear();
    const parts = this.parts();
    at("part").replaceChildren(...parts.map((name) => make("option", { value: name })));
    this.name();
    if (built.recorded) {
      this.offer();
      at("row").value = Object.keys(built.recorded.samples[parts[0]] ?? {})[0] ?? "0";
    }
  }

  /** @returns {string[]} the parts of the data that have samples */
  parts() {
    return PARTS.filter((name) => (this.built.recorded?.samples ?? this.built.sizes)[name]);
  }

  /** Name the parts of the data, in the language in use. */
  name() {
    for (const option of at("part").options) option.textContent = `${t(`part_${option.value}`)} (${this.built.sizes[option.value].toLocaleString()})`;
  }

  /** Say all that is shown in the language that was chosen: the same step, the same path. */
  async translate() {
    this.name();
    this.failed?.();
    if (!this.message) {
      if (this.built.recorded && !this.failed) this.offer();
      return;
    }
    const { message: { part, row }, followed, place } = this;
    const lang = currentLanguage();
    try {
      const message = await this.connection.ask("sample", { part, row, again: true, lang });
      if (this.message?.part !== part || this.message.row !== row || lang !== currentLanguage()) return; // another one is shown
      this.message = message;
      const open = this.folds().map((fold) => fold.open);
      this.draw();
      this.folds().forEach((fold, i) => { fold.open = open[i]; });
      this.go(place, false);
    } catch {
      return; // what is shown stays as it is
    }
    this.saliency.again();
    if (followed) await this.path(...followed, false);
  }

  /** @returns {HTMLDetailsElement[]} */
  folds() {
    return [.../** @type {NodeListOf<HTMLDetailsElement>} */ (at("inside").querySelectorAll("details.fold"))];
  }

  /** Say which samples a recording has. */
  offer() {
    const rows = this.parts().map((name) => `${t(`part_${name}`)} ${Object.keys(this.built.recorded.samples[name]).join(", ")}`);
    at("sample").replaceChildren(make("p", {}, t("recorded_samples", { rows: rows.join("; ") })));
  }

  clear() {
    this.message = this.followed = this.failed = null;
    this.saliency.clear();
    for (const id of ["sample", "inside", "path", "where"]) at(id).replaceChildren();
    at("path").tabIndex = -1;
    for (const id of ["first", "back", "next", "last"]) at(id).disabled = true;
  }

  /** @param {string} [part] @param {number} [row] */
  async open(part = at("part").value, row = Number(at("row").value)) {
    at("part").value = part;
    at("row").value = String(row);
    try {
      const message = await this.connection.ask("sample", { part, row, lang: currentLanguage() });
      this.message = message;
      this.followed = this.failed = null;
      at("path").replaceChildren();
      at("path").tabIndex = -1;
      this.draw();
      this.go(message.steps.length);
      this.saliency.open(this.built);
    } catch (error) {
      this.clear();
      this.failed = () => at("sample").replaceChildren(make("p", { className: "why" }, lines(error)));
      this.failed();
    }
  }

  draw() {
    const { message } = this;
    at("sample").replaceChildren(
      make("p", {}, t("sample_text", { part: t(`part_${message.part}`), row: message.row, label: this.built.characters ? shownToken(message.label) : message.label, step: message.step, loss: number(message.loss, 6) })),
      message.tokens ? make("p", { className: this.built.characters ? "letters" : "" }, t("text_of_sample", { text: this.built.characters ? shownToken(message.tokens.join("")) : message.tokens.join(this.built.texts?.units === "characters" ? "" : " ") })) : "");
    const folds = [];
    for (const step of message.steps) {
      const key = `${step.direction === "parameter" ? "forward" : step.direction} ${step.layer}`;
      if (folds.at(-1)?.key !== key) folds.push({ key, step, boxes: [] });
      folds.at(-1).boxes.push(this.equation(step));
    }
    at("inside").replaceChildren(...folds.map(({ step, boxes }) => make("details",
      { className: "fold", open: step.direction !== "update", ontoggle: (/** @type {any} */ event) => reachable(event.target) },
      make("summary", {}, t("fold", { direction: t(`direction_${step.direction === "parameter" ? "forward" : step.direction}`), layer: step.layer ?? "ℒ" })), ...boxes)),
    ...message.notes.map((/** @type {string} */ note) => make("p", { className: "why" }, note)),
    make("p", {}, message.check.text));
  }

  /** @param {any} step */
  equation(step) {
    const head = make("div", {});
    putMath(head, step.math);
    if (step.book) head.append(make("span", { className: "book" }, t("book", { section: step.book })));
    if (step.remark) head.append(make("span", { className: "book" }, step.remark));
    const box = make("div", { className: `equation ${step.direction}` }, head);
    const array = step.numbers ? this.message.arrays[step.numbers] : null;
    if (array) {
      box.append(show(array, step, this.built.image, (index) => this.path(step.of, index)));
    }
    return box;
  }

  /** Show the equations up to one. @param {number} place from 1 @param {boolean} scroll to it */
  go(place, scroll = true) {
    const boxes = [...at("inside").querySelectorAll(".equation")];
    this.place = Math.max(1, Math.min(boxes.length, place));
    boxes.forEach((box, i) => {
      box.hidden = i >= this.place;
      box.classList.toggle("here", i === this.place - 1 && this.place < boxes.length);
    });
    const step = this.message.steps[this.place - 1];
    at("where").textContent = t("equation_of", {
      n: this.place, all: boxes.length, direction: t(`direction_${step.direction}`), layer: step.layer ?? "ℒ", text: step.text });
    at("first").disabled = at("back").disabled = this.place <= 1;
    at("next").disabled = at("last").disabled = this.place >= boxes.length;
    for (const fold of this.folds()) {
      fold.hidden = [...fold.querySelectorAll(".equation")].every((box) => box.hidden);
    }
    if (this.place < boxes.length && scroll) {
      boxes[this.place - 1].closest("details").open = true;
      boxes[this.place - 1].scrollIntoView({ block: "nearest" });
    }
  }

  /**
   * Show the path of a number.
   * @param {string} name of a value
   * @param {number[]} index
   * @param {boolean} evaluated in evaluation mode
   * @param {boolean} scroll to it
   */
  async path(name, index, evaluated = false, scroll = true) {
    const place = at("path");
    this.followed = [name, index, evaluated];
    try {
      const path = await this.connection.ask("element", { name, index, evaluated, lang: currentLanguage() });
      place.replaceChildren(...this.pathParts(path, evaluated));
      place.tabIndex = 0; // it scrolls
    } catch (error) {
      place.replaceChildren(make("p", { className: "why" }, lines(error)));
    }
    if (scroll) place.scrollIntoView({ block: "nearest" });
  }

  /** @param {any} path @param {boolean} evaluated */
  pathParts(path, evaluated) {
    const at_ = (/** @type {any} */ item) => item.index.length ? `${item.symbol}[${item.index.map((/** @type {number} */ i) => i + 1).join(", ")}]` : item.symbol;
    const click = (/** @type {any} */ item) => item.symbol === "ℒ" ? at_(item)
      : make("button", { type: "button", className: "small", onclick: () => this.path(item.symbol, item.index, evaluated) }, at_(item));
    const forward = path.steps.map((/** @type {any} */ s) => [click(s), number(s.value, 7), s.formula]);
    forward.push(["ℒ", number(path.loss, 7), path.loss_formula]);
    const backward = path.steps.toReversed().map((/** @type {any} */ s) => {
      const sums = s.terms.filter((/** @type {any} */ term) => term.symbol !== "ℒ").map((/** @type {any} */ term) => `∂ℒ/∂${at_(term)} · ∂${at_(term)}/∂${at_(s)} = ${number(term.gradient, 7)} · ${number(term.derivative, 7)} = ${number(term.product, 7)}`);
      if (s.more) sums.push(t("more_terms", { n: s.more }));
      return [[click(s), number(s.gradient, 7)], make("div", {}, ...sums.map((/** @type {string} */ line) => make("div", {}, line)), s.remark ? make("div", {}, s.remark) : null)];
    });
    return [
      make("h3", {}, t("path_of", { name: at_(path.steps[0]), value: number(path.steps[0].value, 7), gradient: number(path.gradient, 7) }), evaluated ? ` (${t("path_evaluated")})` : null),
      make("div", { className: "wide" }, table([t("number"), t("value"), t("formula")], forward, t("path_forward"))),
      make("div", { className: "wide" }, chain(backward)),
    ];
  }
}

/**
 * Make the table of the chain rule: below each derivative, over all columns, its terms.
 * @param {[(string | Node)[], Node][]} rows
 */
function chain(rows) {
  const made = table([t("number"), t("derivative")], [], t("path_backward"));
  made.className = "chain";
  made.tHead.append(make("tr", {}, make("th", { scope: "col", colSpan: 2 }, t("terms"))));
  made.tBodies[0].append(...rows.flatMap(([cells, terms]) => [
    make("tr", {}, ...cells.map((cell) => make("td", {}, cell))),
    make("tr", {}, make("td", { colSpan: 2 }, terms)),
  ]));
  return made;
}
