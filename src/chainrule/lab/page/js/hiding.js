// Parts of the page that a link hides: a list of them, ticks to choose, and the way back.

import { at, make } from "./dom.js";
import { addressWith, hiddenByLink, setHidden } from "./link.js";
import { t } from "./texts.js";

/**
 * The parts of the page by group, each with what it is in the page. Hidden ones are not
 * displayed, so they are not in the accessibility tree either; what they hold stays.
 * @type {Record<string, Record<string, string>>}
 */
export const PARTS = {
  setup: {
    setup: "#setup-part",
    upload: "#drop",
    data: '[data-section="data"]',
    source: '[data-section="data"] .option[data-key="source"]',
    samples: '[data-section="data"] .option:is([data-key="samples"], [data-key="copies"], [data-key="limit"])',
    noise: '[data-section="data"] .option:is([data-key="noise"], [data-key="spread"])',
    shares: '[data-section="data"] .option:is([data-key="validation"], [data-key="test"])',
    inputs: '[data-section="model"] .inputs',
    layers: '[data-section="model"]',
    activation: '[data-section="model"] [data-use="activation"]',
    loss: '[data-section="loss"]',
    optimizer: '[data-section="optimizer"]',
    rate: '[data-section="optimizer"] .option[data-key="lr"], #rate-control',
    regularization: '[data-section="optimizer"] .option:is([data-key="weight_decay"], [data-key="l1_penalty"]), [data-section="model"] [data-use="regularization"]',
    schedule: '[data-section="schedule"]',
    training: '[data-section="training"]',
    epochs: '[data-section="training"] .option[data-key="epochs"]',
    batch: '[data-section="training"] .option[data-key="batch_size"]',
    seed: '#setup .option[data-key="seed"]',
    more: "#setup details",
    build: "#build",
  },
  run: {
    run: "#run-part > .controls, #history",
    step: "#step, #steps-control",
    figures: "#figures",
    history: "#history",
  },
  seen: {
    network: "#network-part",
    weights: "#weights",
    modules: "#modules",
    output: "#output-part",
    confusion: "#confusion",
    curves: "#curves-part",
    epochs_table: "#epochs",
  },
  asked: {
    inside: "#inside-part",
    saliency: "#saliency-part",
    digit: "#digit-part",
    sentence: "#sentence-part",
    writing: "#writing-part",
    doctor: "#doctor-part",
    share: "#share-part",
  },
  page: {
    views: "header nav",
    explorations: "#exploration-list",
    sliders: "#exploration-settings",
    language: "#language-control",
  },
};
/** What stands there with a lab alone, and not in the page of a recording. */
const OF_A_LAB = ["setup", "rate", "weights", "digit", "sentence", "writing", "saliency", "doctor", "views", "explorations", "sliders"];

const SELECTORS = Object.assign({}, ...Object.values(PARTS));

export class Hiding {
  constructor() {
    /** The style that hides them: what is drawn anew is hidden too. */
    this.style = new CSSStyleSheet();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.style];
    /** What is ticked off, which a link that is copied hides. @type {Set<string>} */
    this.chosen = new Set();
    this.recorded = false;
    at("show-all").addEventListener("click", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.apply([]);
      const [place] = document.querySelectorAll("main:not([hidden]) h2");
      /** @type {HTMLElement} */ (place).tabIndex = -1;
      /** @type {HTMLElement} */ (place).focus(); // the link that had it is gone
    });
    at("hide-now").addEventListener("click", () => {
      this.apply([...this.chosen]);
      if (this.chosen.size) at("show-all").focus();
    });
    addEventListener("hashchange", () => {
      if (hiddenByLink() !== null) this.read();
    });
  }

  /** Hide what the address says, or else what the page was written with. */
  read() {
    const names = hiddenByLink() ?? (document.documentElement.dataset.hide ?? "").split(",").filter(Boolean);
    this.chosen = new Set(names.filter((name) => Object.hasOwn(SELECTORS, name)));
    this.apply(names);
  }

  /** @param {string[]} names what is hidden from now on; none: nothing */
  apply(names) {
    const known = names.filter((name) => Object.hasOwn(SELECTORS, name));
    this.unknown = names.filter((name) => !Object.hasOwn(SELECTORS, name));
    this.hidden = known;
    this.style.replaceSync(known.map((name) => `:is(${SELECTORS[name]}) { display: none !important; }`).join("\n"));
    document.body.classList.toggle("no-setup", known.includes("setup"));
    setHidden(known);
    this.draw();
  }

  /** Say what is hidden, in the language that was chosen. */
  draw() {
    at("hidden-note").hidden = !this.hidden?.length;
    at("hidden-text").textContent = t("hidden", { n: this.hidden?.length ?? 0 });
    const problem = this.unknown?.length ? t("hidden_unknown", { names: this.unknown.map((name) => `“${name.slice(0, 40)}”`).join(", "), known: Object.keys(SELECTORS).join(", ") }) : "";
    at("hidden-problem").hidden = !problem;
    at("hidden-problem").textContent = problem;
    this.ticks();
  }

  /** Offer a tick for each part: whether a link shows it. */
  ticks() {
    at("ticks").replaceChildren(...Object.entries(PARTS).map(([group, parts]) => {
      const names = Object.keys(parts).filter((name) => !this.recorded || (group !== "setup" && !OF_A_LAB.includes(name)));
      if (!names.length) return "";
      return make("fieldset", {}, make("legend", {}, t(`shown_${group}`)), ...names.map((name) => make("label", {},
        make("input", { type: "checkbox", id: `tick-${name}`, checked: !this.chosen.has(name), onchange: (/** @type {any} */ event) => {
          if (event.target.checked) this.chosen.delete(name);
          else this.chosen.add(name);
        } }), ` ${t(`part_${group}_${name}`)}`)));
    }));
  }

  /** @returns {string} the address of this page that hides what is ticked off */
  link() {
    return addressWith([...this.chosen]);
  }
}
