// What the doctor finds, and buttons that build the network with its fixes.

import { at, make } from "./dom.js";
import { lines } from "./form.js";
import { number, said, t } from "./texts.js";

export class Doctor {
  /**
   * @param {import("./connection.js").Connection} connection
   * @param {(run: any) => void} build
   */
  constructor(connection, build) {
    this.connection = connection;
    this.build_ = build;
    /** The network that is built, and what was found of it. @type {any} */
    this.built = null;
    /** @type {any} */
    this.found = null;
    /** Say in the language in use where the doctor stands. */
    this.state = () => "";
    at("diagnose").addEventListener("click", () => this.ask());
  }

  /** @param {any} built what the server says of the network */
  build(built) {
    this.built = built;
    this.found = null;
    this.state = () => "";
    this.translate();
  }

  /** Say all that is shown in the language that was chosen. */
  translate() {
    at("doctor-state").textContent = this.state();
    at("findings").replaceChildren(...(this.found?.findings ?? []).map((/** @type {any} */ f) => this.finding(f)));
  }

  /** @param {() => string} state */
  tell(state) {
    this.state = state;
    at("doctor-state").textContent = state();
  }

  async ask() {
    at("diagnose").disabled = true;
    this.tell(() => t("diagnosing"));
    try {
      const found = await this.connection.ask("doctor"), n = found.findings.length;
      this.found = found;
      this.state = () => n ? t(found.healthy ? "healthy_notes" : "sick", { n }) : t("healthy");
      this.translate();
    } catch (error) {
      this.tell(() => lines(error));
    }
    at("diagnose").disabled = false;
  }

  /** @param {any} f */
  finding(f) {
    const place = said(f.where);
    return make("article", { className: `finding ${f.severity}` },
      make("h3", {}, `${f.code}${place ? ` · ${place}` : ""}`),
      make("p", {}, said(f.cause)), make("p", {}, said(f.advice)),
      f.what ? make("p", {}, said(f.what)) : null,
      f.diff ? make("pre", { tabIndex: 0, role: "region", "aria-label": said(f.what) }, f.diff) : null,
      f.gain == null ? null : make("p", {}, t("gain", { metric: said(f.metric), gain: number(f.gain, 3) })),
      f.run ? make("button", { type: "button", onclick: () => this.build_(f.run) }, t("try_fix")) : null);
  }
}
