// What of a sample the loss depends on: |∂ℒ/∂x| as a picture, as bars, or token by token.

import { at, make, table, wide } from "./dom.js";
import { lines } from "./form.js";
import { show } from "./numbers.js";
import { currentLanguage, number, t } from "./texts.js";

export class Saliency {
  /**
   * @param {import("./connection.js").Connection} connection
   * @param {(name: string, index: number[]) => void} path shows the path of a number
   */
  constructor(connection, path) {
    this.connection = connection;
    this.path = path;
    /** @type {any} */
    this.built = null;
    this.asked = false;
    at("saliency-part").addEventListener("toggle", () => this.ask());
  }

  clear() {
    at("saliency-part").hidden = true;
    at("saliency").replaceChildren();
    this.asked = true;
  }

  /** Offer it for the sample that is shown now. @param {any} built */
  open(built) {
    this.built = built;
    this.asked = false;
    at("saliency").replaceChildren();
    at("saliency-part").hidden = false;
    this.ask();
  }

  /** Ask for it anew, in the language that was chosen; until it comes, the old one stays. */
  again() {
    this.asked = false;
    this.ask();
  }

  /** Ask for it once, where it is open. */
  async ask() {
    if (this.asked || !at("saliency-part").open) return;
    this.asked = true;
    try {
      this.draw(await this.connection.ask("saliency", { lang: currentLanguage() }));
    } catch (error) {
      at("saliency").replaceChildren(make("p", { className: "why" }, lines(error)));
    }
  }

  /** @param {any} message */
  draw(message) {
    const loss = number(message.loss, 6), parts = [];
    for (const item of message.items) {
      const array = message.arrays[item.array];
      if (item.kind === "tokens") parts.push(...tokens(item, array.data, loss));
      else {
        parts.push(make("p", {}, make("strong", {}, `|∂ℒ/∂${item.name}|`), ` ${t("saliency_help", { loss })}`));
        if (item.kind === "columns") parts.push(...this.columns(item, array.data));
        else parts.push(this.numbers(item, array));
      }
    }
    parts.push(...attention(message));
    at("saliency").replaceChildren(...(parts.length ? parts : [make("p", {}, t("saliency_none"))]));
  }

  /** @param {any} item @param {{data: any, shape: number[]}} array */
  numbers(item, array) {
    // A sample of one axis is a column; of pictures and other samples all axes but the last are rows.
    const { shape } = array, columns = shape.length > 1 ? shape.at(-1) ?? 1 : 1;
    const flat = { data: array.data, shape: shape.length > 1 ? [array.data.length / columns, columns] : shape };
    const image = shape.length > 1 ? null : this.built.image;
    const place = (/** @type {number[]} */ index) => {
      let rest = shape.length > 1 ? index[0] * columns + index[1] : index[0];
      return [0, ...shape.toReversed().map((size) => {
        const i = rest % size;
        rest = (rest - i) / size;
        return i;
      }).toReversed()];
    };
    return show(flat, { numbers: `|∂ℒ/∂${item.name}|`, shape: flat.shape, turned: false, of: item.name }, image,
      (index) => this.path(item.name, place(index)));
  }

  /** @param {any} item @param {ArrayLike<number>} data */
  columns(item, data) {
    const most = Math.max(...Array.from(data), 1e-30);
    const rows = item.columns.map((/** @type {any} */ c) => make("div", { className: "salient" },
      make("button", { type: "button", className: "small", onclick: () => this.path(item.name, [0, c.place]) }, `${c.name} = ${number(c.value)}`),
      make("meter", { min: 0, max: most, value: data[c.place], "aria-label": c.name }),
      make("span", {}, number(data[c.place]))));
    if (item.all > item.columns.length) rows.push(make("p", {}, t("saliency_first", { shown: item.columns.length, all: item.all })));
    return rows;
  }
}

/** The signs that stand for characters which are not seen by themselves. */
const SIGNS = { " ": "␣", "\n": "↵", "\t": "⇥" };

/** Return a token as it is shown by itself. @param {string} text @returns {string} */
export const shownToken = (text) => text.replace(/[ \n\t]/g, (sign) => SIGNS[sign]);

/**
 * @param {any} item
 * @param {ArrayLike<number>} data
 * @param {string} loss
 * @param {string} [help] what is said of it
 */
export function tokens(item, data, loss, help = t("saliency_tokens_help", { loss })) {
  const most = Math.max(...Array.from(data), 1e-30);
  const told = item.tokens.map((/** @type {string} */ text, /** @type {number} */ i) => ({ text, i })).filter((/** @type {any} */ token) => token.text !== "");
  const shown = (/** @type {string} */ text) => text === "□" ? `□ (${t("unknown_token")})` : shownToken(text);
  const letters = item.tokens.every((/** @type {string} */ text) => [...text].length <= 1);
  return [
    make("p", {}, make("strong", {}, "‖∂ℒ/∂eₜ‖ "), help),
    make("p", { className: letters ? "tokens letters" : "tokens" }, ...told.flatMap((/** @type {any} */ { text, i }) => {
      const span = make("span", { title: number(data[i]) }, shownToken(text));
      span.style.setProperty("--share", `${Math.round((100 * data[i]) / most)}%`);
      return letters ? [span] : [span, " "];
    })),
    wide("‖∂ℒ/∂eₜ‖", table([t("token"), "‖∂ℒ/∂eₜ‖"], told.map((/** @type {any} */ { text, i }) => [shown(text), number(data[i])]))),
  ];
}

/** Tokens of an attention that are shown. */
const MOST = 24;

/**
 * Show whom each token listens to, in a table a head.
 * @param {any} message with items, attention and arrays
 */
export function attention(message) {
  const parts = [];
  const named = message.items.find((/** @type {any} */ item) => item.kind === "tokens")?.tokens.map(shownToken) ?? message.row;
  for (const [k, name] of message.attention.entries()) {
    const { data, shape: [heads, size, keys] } = message.arrays[`attention${k}`];
    const texts = named?.length === size ? named : Array.from({ length: size }, (_, i) => String(i + 1));
    const places = Array.from({ length: size }, (_, i) => i).filter((i) => texts[i] !== "");
    const shown = places.slice(-MOST);
    for (let head = 0; head < heads && size === keys; head++) {
      const cell = (/** @type {number} */ i, /** @type {number} */ j) => {
        const share = data[(head * size + i) * keys + j];
        const place = make("td", {}, share.toFixed(2));
        place.style.setProperty("--share", `${Math.round(60 * share)}%`);
        return place;
      };
      const cut = shown.length < places.length ? `; ${t("attention_of", { shown: shown.length, all: places.length })}` : "";
      parts.push(wide(t("attention", { name, head: head + 1 }), make("table", { className: "attention" },
        make("caption", {}, t("attention", { name, head: head + 1 }) + cut),
        make("thead", {}, make("tr", {}, make("td", {}), ...shown.map((j) => make("th", { scope: "col" }, texts[j])))),
        make("tbody", {}, ...shown.map((i) => make("tr", {}, make("th", { scope: "row" }, texts[i]), ...shown.map((j) => cell(i, j))))))));
    }
  }
  return parts;
}
