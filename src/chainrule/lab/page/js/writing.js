// What a network that reads characters writes, and the next character it expects.

import { at, make, within } from "./dom.js";
import { lines } from "./form.js";
import { percent } from "./output.js";
import { attention, shownToken, tokens } from "./saliency.js";
import { currentLanguage, number, t } from "./texts.js";

export class Writing {
  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.connection = connection;
    /** Say in the language in use where a text stands, and what comes next. @type {Record<string, (() => void) | undefined>} */
    this.told = {};
    at("writing-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.write();
    });
    at("foresee").addEventListener("click", () => this.foresee());
  }

  /** @param {any} built */
  build(built) {
    this.told = {};
    at("writing-part").hidden = !built.characters;
    for (const id of ["written", "foreseen", "foreseen-inside", "writing-state"]) at(id).replaceChildren();
  }

  async write() {
    const text = at("prompt").value;
    const count = Math.round(within("count"));
    const temperature = within("temperature");
    const seed = Math.round(within("writing-seed"));
    at("written").replaceChildren();
    this.tell("written", () => { at("writing-state").textContent = t("writing_now"); });
    at("write").disabled = true;
    try {
      const found = await this.connection.ask("write", { text, count, temperature, seed });
      this.tell("written", () => {
        at("writing-state").textContent = t(found.ended ? "written_ended" : found.late ? "written_late" : "written_at", { step: found.step.toLocaleString() });
      });
      at("written").replaceChildren(make("strong", {}, found.begun), found.text);
    } catch (error) {
      this.tell("written", () => {
        at("writing-state").textContent = "";
        at("written").replaceChildren(make("span", { className: "why" }, lines(error)));
      });
    } finally {
      at("write").disabled = false;
    }
  }

  async foresee() {
    try {
      const found = await this.connection.ask("foresee", { text: at("prompt").value, lang: currentLanguage() });
      this.tell("foreseen", () => this.show(found));
    } catch (error) {
      this.tell("foreseen", () => {
        at("foreseen").replaceChildren(make("p", { className: "why" }, lines(error)));
        at("foreseen-inside").replaceChildren();
      });
    }
  }

  /** @param {string} place @param {() => void} say */
  tell(place, say) {
    this.told[place] = say;
    say();
  }

  /** Say what is shown in the language that was chosen. */
  translate() {
    for (const say of Object.values(this.told)) say?.();
  }

  /** @param {any} found */
  show(found) {
    const [[likeliest]] = found.next;
    at("foreseen").replaceChildren(
      make("p", {}, t("foreseen", { token: shownToken(likeliest), step: found.step.toLocaleString() })),
      ...found.next.map((/** @type {[string, number]} */ [token, p]) => make("div", { className: "bar" }, make("code", {}, shownToken(token)),
        make("meter", { min: 0, max: 1, value: p, "aria-label": shownToken(token) }), make("span", {}, percent(p)))),
      found.all > found.next.length ? make("p", {}, t("saliency_first", { shown: found.next.length, all: found.all })) : "",
      found.left_out ? make("p", {}, t("foreseen_left_out", { n: found.left_out })) : "");
    at("foreseen-inside").replaceChildren(
      ...found.items.flatMap((/** @type {any} */ item) => tokens(item, found.arrays[item.array].data, number(found.loss, 6), t("foreseen_help", { token: shownToken(likeliest), loss: number(found.loss, 6) }))),
      ...attention(found));
  }
}
