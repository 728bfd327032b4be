// The book's questions: sliders of what may be set, and what the experiment finds.

import { at, make, table, wide } from "./dom.js";
import { lines } from "./form.js";
import { explorationLink, readExploration } from "./link.js";
import { currentLanguage, number, t } from "./texts.js";

/** Milliseconds without a change, after which it is measured anew; places of a slider. */
const PAUSE = 250, PLACES = 200;

/**
 * What may be set: a number in a range.
 * @typedef {{name: string, label: string, default: number, quick: number, low: number,
 *   high: number, whole: boolean, logarithmic: boolean}} Parameter
 */

/** @param {Parameter} p @param {number} value @returns {number} the place of a slider */
export function placeOf(p, value) {
  if (!p.logarithmic) return (PLACES * (value - p.low)) / (p.high - p.low);
  return (PLACES * Math.log(value / p.low)) / Math.log(p.high / p.low);
}

/** @param {Parameter} p @param {number} place @returns {number} a value of few digits */
export function valueAt(p, place) {
  const share = place / PLACES;
  const exact = p.logarithmic ? p.low * (p.high / p.low) ** share : p.low + share * (p.high - p.low);
  const value = p.whole ? Math.round(exact) : Number(exact.toPrecision(3));
  return Math.max(p.low, Math.min(p.high, value));
}

export class Explore {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.connection = connection;
    /** @type {Record<string, any[]>} */
    this.outlines = {};
    /** @type {any} what has been asked last, and what came */
    this.asked = null;
    /** @type {any} */
    this.found = null;
    this.number = 0;
    this.timer = 0;
    this.picture = "";
    at("exploration-settings").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  }

  /** @param {Record<string, any[]>} outlines by language */
  offers(outlines) {
    this.outlines = outlines;
  }

  /** @returns {any[]} */
  get list() {
    return this.outlines[currentLanguage()] ?? this.outlines.en ?? [];
  }

  /** @returns {any} the exploration that the address names */
  get outline() {
    return this.list.find((item) => item.name === this.set.name) ?? this.list[0];
  }

  /** Show what the address names. */
  route() {
    const said = readExploration();
    if (!said || !this.list.length) return;
    this.set = said;
    const asked = said.name;
    this.set.name = this.outline.name;
    const unread = asked && asked !== said.name ? [`explore=${asked}`, ...said.unread] : said.unread;
    const known = new Map(this.outline.parameters.map((/** @type {Parameter} */ p) => [p.name, p]));
    for (const [name, value] of Object.entries(said.values)) {
      const p = known.get(name);
      if (p && value >= p.low && value <= p.high && (!p.whole || Number.isInteger(value))) continue;
      delete said.values[name];
      unread.push(`${name}=${value}`);
    }
    const there = this.outline.parameters.map((/** @type {Parameter} */ p) => `${p.name} ${number(p.low)} … ${number(p.high)}`);
    at("exploration-link").replaceChildren(...unread.length
      ? [make("p", { className: "why" }, t("exploration_unread", { said: unread.join(", "), known: there.join(", ") }))] : []);
    this.draw();
  }

  /** Draw all in the language that was chosen, and measure. */
  draw() {
    if (!this.set || !this.list.length || at("explore-view").hidden) return;
    const { outline } = this;
    at("explorations").replaceChildren(make("ul", { className: "plain" }, ...this.list.map((item) => make("li", {},
      make("a", { href: explorationLink(item.name), "aria-current": item.name === outline.name ? "page" : null },
        item.title, make("small", {}, item.question))))));
    at("exploration-title").textContent = outline.title;
    this.settings();
    this.measure();
  }

  settings() {
    const { outline, set } = this;
    const form = at("exploration-settings");
    form.replaceChildren(make("fieldset", {}, make("legend", {}, t("exploration_settings")),
      ...outline.parameters.map((/** @type {Parameter} */ p) => this.slider(p)),
      make("div", { className: "controls" },
        make("label", {}, make("input", { type: "checkbox", id: "explore-quick", checked: set.quick, onchange: (/** @type {any} */ event) => {
          set.quick = event.target.checked;
          this.settings();
          at("explore-quick").focus();
          this.changed();
        } }), ` ${t("exploration_quick")}`),
        make("label", {}, `${t("option_seed")} `, make("input", { type: "number", id: "explore-seed", min: "0", step: "1", value: String(set.seed), onchange: (/** @type {any} */ event) => {
          const seed = Math.round(Number(event.target.value));
          set.seed = Number.isSafeInteger(seed) && seed >= 0 ? seed : 0;
          event.target.value = String(set.seed);
          this.changed();
        } })),
        make("button", { type: "button", id: "explore-usual", onclick: () => {
          Object.assign(set, { seed: 0, quick: true, values: {} });
          this.settings();
          at("explore-usual").focus();
          this.changed();
        } }, t("exploration_usual")))));
  }

  /** @param {Parameter} p */
  slider(p) {
    const { set } = this;
    const id = `explore-${p.name}`;
    const value = set.values[p.name] ?? (set.quick ? p.quick : p.default);
    const shown = make("output", { htmlFor: id }, number(value));
    const input = make("input", { type: "range", id, min: "0", max: String(PLACES), step: "1", value: String(placeOf(p, value)), "aria-valuetext": number(value),
      oninput: () => {
        const chosen = valueAt(p, Number(input.value));
        set.values[p.name] = chosen;
        shown.textContent = number(chosen);
        input.setAttribute("aria-valuetext", number(chosen));
        this.changed();
      } });
    if (p.whole && !p.logarithmic) input.step = String(PLACES / (p.high - p.low));
    return make("div", { className: "slider" }, make("label", { htmlFor: id }, p.label), input, shown);
  }

  /** Measure once nothing has changed for a moment. */
  changed() {
    history.replaceState(null, "", explorationLink(this.set.name, this.set));
    clearTimeout(this.timer);
    at("exploration-link").replaceChildren();
    at("exploration-found").classList.add("old");
    this.timer = setTimeout(() => this.measure(), PAUSE);
  }

  async measure() {
    clearTimeout(this.timer);
    const mine = ++this.number, { name, seed, quick, values } = this.set;
    at("exploration-state").textContent = t("exploring");
    at("exploration-found").classList.add("old");
    if (this.found?.name !== name) at("exploration-found").replaceChildren();
    try {
      const found = await this.connection.ask("explore", { name, seed, quick, values, lang: currentLanguage() });
      if (mine !== this.number) return;
      at("exploration-problem").replaceChildren();
      this.show(found);
    } catch (error) {
      if (mine !== this.number) return; // another one has taken its place
      at("exploration-state").textContent = "";
      at("exploration-problem").replaceChildren(make("p", { className: "why" }, lines(error)));
    }
  }

  /** @param {any} found */
  show(found) {
    this.found = found;
    at("exploration-found").dataset.name = found.name;
    at("exploration-state").textContent = t("explored", { seconds: number(found.seconds, 2) });
    at("exploration-about").replaceChildren(
      make("p", {}, make("strong", {}, found.question)),
      make("p", { className: "formula" }, found.formula, make("span", { className: "book" }, ` ${t("book_sections", { sections: found.sections.join(", ") })}`)),
      make("p", {}, `${t("exploration_done")}: ${found.done}`));
    URL.revokeObjectURL(this.picture);
    const { data } = found.arrays.picture;
    this.picture = data.length ? URL.createObjectURL(new Blob([data], { type: "image/png" })) : "";
    const [heads, ...rows] = found.table;
    const open = at("exploration-found").querySelector("details")?.open ?? false;
    at("exploration-found").replaceChildren(
      ...found.notes.map((/** @type {any} */ note) => make("p", { className: "why" }, lines(note))),
      this.picture ? make("img", { src: this.picture, alt: t("picture_titled", { title: found.title }) }) : "",
      make("details", { open: open || !this.picture }, make("summary", {}, t("numbers_table")),
        wide(t("numbers_table"), table(heads, rows))),
      make("h3", {}, t("answer")),
      make("ul", {}, ...found.answer.map((/** @type {any} */ said) => make("li", {}, said.text,
        said.expected ? make("div", { className: "book" }, `${t("expected_else")} ${said.expected}`) : null))));
    at("exploration-found").classList.remove("old");
  }
}
