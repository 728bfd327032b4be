// A typed sentence: what the network says to it, and what that depends on.

import { at, make } from "./dom.js";
import { lines } from "./form.js";
import { attention, shownToken, tokens } from "./saliency.js";
import { currentLanguage, number, t } from "./texts.js";

export class Sentence {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.connection = connection;
    /** @type {any} */
    this.built = null;
    /** Says in the language in use what came. @type {(() => void) | null} */
    this.told = null;
    at("sentence-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.ask();
    });
  }

  /** @param {any} built */
  build(built) {
    this.built = built;
    this.told = null;
    at("sentence-part").hidden = !built.texts;
    at("sentence-answer").replaceChildren();
    at("sentence-inside").replaceChildren();
  }

  async ask() {
    const text = at("sentence").value;
    if (!text.trim()) return;
    try {
      const message = await this.connection.ask("sentence", { text, lang: currentLanguage() });
      this.told = () => this.show(message);
    } catch (error) {
      this.told = () => {
        at("sentence-answer").replaceChildren(make("p", { className: "why" }, lines(error)));
        at("sentence-inside").replaceChildren();
      };
    }
    this.told();
  }

  /** Say what is shown in the language that was chosen. */
  translate() {
    this.told?.();
  }

  /** @param {any} message */
  show(message) {
    const { answer, decided, items } = message;
    const names = this.built.class_names ?? answer.map((/** @type {number} */ _, /** @type {number} */ i) => String(i));
    const says = decided == null ? answer.map((/** @type {number} */ v) => number(v)).join(", ") : names[decided];
    const parts = [make("p", {}, t("sentence_says", { answer: says }))];
    if (decided != null && answer.length > 1) {
      parts.push(...answer.map((/** @type {number} */ p, /** @type {number} */ i) => make("div", { className: "bar" }, make("span", {}, names[i]),
        make("meter", { min: 0, max: 1, value: p, "aria-label": names[i] }), make("span", {}, `${(100 * p).toFixed(1)} %`))));
    } else if (decided != null) parts.push(make("p", {}, number(answer[0])));
    if (message.unknown.length) {
      const [before, after] = t("sentence_unknown").split("{tokens}");
      const unknown = [...new Set(message.unknown.map((/** @type {number} */ i) => message.tokens[i]))];
      parts.push(make("p", {}, before, ...unknown.flatMap((token, i) => [i ? " " : "", make("code", {}, shownToken(token))]), after));
    }
    if (message.left_out) parts.push(make("p", {}, t("sentence_left_out", { n: message.left_out, length: this.built.texts.length })));
    at("sentence-answer").replaceChildren(...parts);
    at("sentence-inside").replaceChildren(
      ...items.flatMap((/** @type {any} */ item) => tokens(item, message.arrays[item.array].data, number(message.loss, 6))),
      ...attention(message));
  }
}
