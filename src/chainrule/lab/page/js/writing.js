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
    at("writing-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.write();
    });
    at("foresee").addEventListener("click", () => this.foresee());
  }

  /** @param {any} built */
  build(built) {
    at("writing-part").hidden = !built.characters;
    for (const id of ["written", "foreseen", "foreseen-inside", "writing-state"]) at(id).replaceChildren();
  }

  async write() {
    const text = at("prompt").value;
    const count = Math.round(within("count"));
    const temperature = within("temperature");
    const seed = Math.round(within("writing-seed"));
    at("written").replaceChildren();
    at("writing-state").textContent = t("writing_now");
    at("write").disabled = true;
    try {
      const found = await this.connection.ask("write", { text, count, temperature, seed });
      at("writing-state").textContent = t(found.ended ? "written_ended" : found.late ? "written_late" : "written_at", { step: found.step.toLocaleString() });
      at("written").replaceChildren(make("strong", {}, found.begun), found.text);
    } catch (error) {
      at("writing-state").textContent = "";
      at("written").replaceChildren(make("span", { className: "why" }, lines(error)));
    } finally {
      at("write").disabled = false;
    }
  }

  async foresee() {
    try {
      const found = await this.connection.ask("foresee", { text: at("prompt").value, lang: currentLanguage() });
      this.show(found);
    } catch (error) {
      at("foreseen").replaceChildren(make("p", { className: "why" }, lines(error)));
      at("foreseen-inside").replaceChildren();
    }
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
