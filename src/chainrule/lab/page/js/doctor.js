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
    at("diagnose").addEventListener("click", () => this.ask());
  }

  /** @param {any} built what the server says of the network */
  build(built) {
    if (built !== this.built) this.found = null;
    this.built = built;
    this.show();
  }

  /** Show what was found, in the language that is chosen. */
  show() {
    const { found } = this, findings = found?.findings ?? [];
    at("doctor-state").textContent = !found ? "" : findings.length ? t(found.healthy ? "healthy_notes" : "sick", { n: findings.length }) : t("healthy");
    at("findings").replaceChildren(...findings.map((/** @type {any} */ f) => this.finding(f)));
  }

  async ask() {
    at("diagnose").disabled = true;
    at("doctor-state").textContent = t("diagnosing");
    try {
      this.found = await this.connection.ask("doctor");
      this.show();
    } catch (error) {
      at("doctor-state").textContent = lines(error);
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
      f.gain == null ? null : make("p", {}, t("gain", { metric: f.metric, gain: number(f.gain, 3) })),
      f.run ? make("button", { type: "button", onclick: () => this.build_(f.run) }, t("try_fix")) : null);
  }
}
