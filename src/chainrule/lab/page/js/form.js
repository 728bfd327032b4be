// The form: data, layers, loss, optimiser and training, as sections of a run file.

import { at, make } from "./dom.js";
import { feature } from "./network.js";
import { field } from "./options.js";
import { said, t } from "./texts.js";

/** @typedef {import("./options.js").Option} Option */

/** What the form changes to with MNIST. */
const MNIST = {
  model: {
    layers: [
      { class: "Linear", out_features: 128 }, { class: "ReLU" },
      { class: "Linear", out_features: 64 }, { class: "ReLU" }, { class: "Linear" },
    ],
  },
  optimizer: { class: "AdamW", lr: 0.003, betas: [0.9, 0.99], weight_decay: 0.1 },
  schedule: { class: "OneCycleLR" },
  training: { epochs: 10, batch_size: 32, seed: 0 },
};
/** Options that are shown without opening "more". */
const SHOWN = {
  data: ["samples", "copies", "noise", "spread", "classes", "limit", "target", "text", "length", "size"],
  optimizer: ["lr", "weight_decay", "l1_penalty", "momentum"],
  training: ["epochs", "batch_size", "seed"],
  layer: ["out_features", "out_channels", "kernel_size", "p", "unflattened_size", "dim"],
};

/** What of the training a Trainer of a file leaves open. */
const OF_THE_RUN = ["epochs", "batch_size", "drop_last"];

/** Functions of two features that may be ticked as inputs. */
const FEATURES = ["x1", "x2", "x1^2", "x2^2", "x1*x2", "sin(x1)", "sin(x2)"];

export class Form {
  /**
   * @param {any} choices what the server offers
   * @param {string[]} uploads data that were uploaded
   * @param {(run: object) => void} build
   */
  constructor(choices, uploads, build) {
    this.choices = choices;
    this.uploads = uploads;
    this.run = structuredClone(choices.start);
    /** Data of two features. @type {Set<string>} */
    this.planes = new Set(choices.planes);
    /** The networks of files, by name: of one that the command line has opened, and of texts. @type {Map<string, any>} */
    this.files = new Map();
    /** Whether a network of this form is being built, and what the form said when it was filled or sent last. */
    this.sending = false;
    this.known = "";
    /** What is wrong with the network, where that is shown. @type {any} */
    this.error = null;
    this.form = at("setup");
    this.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      if (!this.unread()) build(this.settings());
    });
  }

  /** Show inputs in which there is no number; @returns {boolean} whether there are some */
  unread() {
    const wrong = [...this.form.querySelectorAll("input[type=number]")].filter((input) => input.validity.badInput);
    if (!wrong.length) return false;
    this.problem(null);
    for (const input of wrong) {
      input.closest(".option").classList.add("wrong");
      input.closest("details")?.setAttribute("open", "");
      at("form-problem").append(make("p", { className: "why" }, t("no_number", { name: input.labels[0].textContent })));
    }
    wrong[0].focus();
    return true;
  }

  /** @returns {any} the sections, without what is left to the default */
  settings() {
    const run = JSON.parse(JSON.stringify(this.run));
    for (const name of Object.keys(run)) {
      if (!Object.keys(run[name]).length) delete run[name];
    }
    return run;
  }

  /** Note that a network is being built of the form, or no more. @param {boolean} sending */
  send(sending) {
    this.sending = sending;
    if (sending) this.known = JSON.stringify(this.settings());
    this.button();
  }

  button() {
    at("build").disabled = this.sending;
    at("build").textContent = t(this.sending ? "building" : "build");
  }

  /** @returns {boolean} whether something was chosen or typed since the form was filled or sent */
  touched() {
    return JSON.stringify(this.settings()) !== this.known
      || [...this.form.querySelectorAll("input")].some((input) => input.type !== "checkbox" && input.value !== input.defaultValue);
  }

  /** @param {any} run sections of a run file */
  set(run) {
    this.run = structuredClone(run);
    const layers = this.run.model?.layers ?? [];
    if (this.run.model?.file === undefined) this.run.model = {
      ...this.run.model,
      layers: layers.map((/** @type {any} */ layer) => typeof layer === "string" ? { class: layer } : layer),
    };
    for (const name of ["data", "loss", "optimizer", "schedule", "training"]) this.run[name] ??= {};
    this.known = JSON.stringify(this.settings());
    this.draw();
  }

  /** The file whose network is chosen; undefined: layers. @returns {any} */
  get opened() {
    return this.files.get(this.run.model?.file);
  }

  /** Offer the network of a file that was opened. @param {any} opened */
  open(opened) {
    const known = this.files.has(opened.name);
    this.files.set(opened.name, opened);
    if (!known) this.set(this.proposed(opened));
  }

  /** Offer a text that is read character by character. @param {any} run that is proposed @param {boolean} chosen */
  read(run, chosen) {
    const name = run.model.file;
    this.files.set(name, { ...this.files.get(name), name, data: true, trainer: false, reads: true });
    if (chosen) this.set(run);
  }

  /** Return the run that the network of a file begins with. @param {any} opened @returns {any} */
  proposed(opened) {
    return { data: { source: opened.data ? opened.name : "circles" }, model: { file: opened.name } };
  }

  /** Return a run with the network that is chosen now. @param {any} run @returns {any} */
  with(run) {
    return this.run.model.file === undefined || this.opened.reads ? run : { ...run, model: this.run.model, ...(this.opened.trainer ? { loss: {}, optimizer: {}, schedule: {}, training: this.run.training } : {}) };
  }

  /** @returns {boolean} whether the Trainer of a file has its own loss and optimiser */
  fixed() {
    return this.opened?.trainer;
  }

  /** Offer data that were uploaded. @param {string} source */
  offer(source) {
    if (!this.uploads.includes(source)) this.uploads.push(source);
  }

  /** Offer all data that were uploaded. @param {string[]} uploads */
  offers(uploads) {
    this.uploads = uploads;
    this.draw();
  }

  /** Say all in the language that was chosen: what is open, and what is wrong. */
  translate() {
    const folds = () => /** @type {HTMLDetailsElement[]} */ ([...this.form.querySelectorAll("details")]);
    const open = folds().map((fold) => fold.open), { error } = this;
    this.draw();
    folds().forEach((fold, i) => { fold.open = open[i]; });
    if (error) this.problem(error, false);
  }

  draw() {
    this.error = null;
    this.form.replaceChildren(
      this.data(), this.model(),
      ...(this.fixed() ? [] : [
        this.opened?.reads ? "" : this.family("loss", "loss", this.choices.losses, t("by_data")),
        this.family("optimizer", "optimizer", this.choices.optimizers, "Adam"),
        this.family("schedule", "schedule", this.choices.schedules, t("constant")),
      ]),
      this.group("training", t("training"), this.options("training",
        this.choices.training.filter((/** @type {Option} */ o) => !this.fixed() || OF_THE_RUN.includes(o.name)), SHOWN.training)),
      make("div", { className: "controls" },
        make("button", { type: "submit", className: "main", id: "build" }, t("build"))),
      make("div", { id: "form-problem", role: "alert" }));
    this.button();
  }

  /** @param {string} id @param {string} title @param {...(Node | null)} inner */
  group(id, title, ...inner) {
    const group = make("fieldset", {}, make("legend", {}, title), ...inner);
    group.dataset.section = id;
    return group;
  }

  /**
   * Make inputs of a section's options: some shown, others behind "more".
   * @param {string} section
   * @param {Option[]} options
   * @param {string[]} first
   */
  options(section, options, first) {
    const target = (this.run[section] ??= {});
    const row = (/** @type {Option} */ option) => field(option, target[option.name], (value) => {
      if (value === undefined) delete target[option.name];
      else target[option.name] = value;
    }, t(`option_${option.name}`) === `option_${option.name}` ? option.name : t(`option_${option.name}`));
    const shown = options.filter((o) => o.required || first.includes(o.name));
    const rest = options.filter((o) => !shown.includes(o));
    return make("div", {}, ...shown.map(row),
      rest.length ? make("details", {}, make("summary", {}, t("more")), ...rest.map(row)) : null);
  }

  data() {
    const source = this.run.data.source;
    const own = this.opened?.data ? [this.opened.name] : [];
    const others = [...Object.keys(this.choices.data), ...this.uploads].filter((name) => !own.includes(name));
    const names = this.opened?.reads ? own : [...own, ...others];
    const called = (/** @type {string} */ name) => own.includes(name) ? t("data_of_file", { name })
      : t(`data_${name}`) === `data_${name}` ? name : t(`data_${name}`);
    const select = make("select", { id: "source", onchange: () => {
      const before = this.run.data.source;
      this.run.data = { source: select.value };
      if (this.run.model.file === undefined && (select.value === "mnist") !== (before === "mnist")) {
        const usual = structuredClone(select.value === "mnist" ? MNIST : this.choices.start);
        this.run = { ...usual, data: { source: select.value }, loss: {}, schedule: usual.schedule ?? {} };
      }
      this.draw();
      at("source").focus();
    } }, ...names.map((name) => make("option", { value: name, selected: name === source }, called(name))));
    const kind = this.run.data.format === "text" ? "text" : this.run.data.target === undefined ? "images" : "table";
    const options = own.includes(source) ? [] : this.choices.data[source] ?? this.choices[kind];
    const row = make("div", { className: "option" }, make("label", { htmlFor: "source" }, t("source")), select);
    row.dataset.key = "source";
    return this.group("data", t("data"), row,
      this.options("data", options, SHOWN.data));
  }

  /**
   * Make the choice of a class with its options.
   * @param {string} section
   * @param {string} title
   * @param {any} classes
   * @param {string} usual what no choice means
   */
  family(section, title, classes, usual) {
    const chosen = (this.run[section] ??= {}).class ?? "";
    const id = `class-${section}`;
    const select = make("select", { id, onchange: () => {
      const lr = this.run[section].lr;
      this.run[section] = select.value ? { class: select.value } : {};
      if (lr !== undefined && section === "optimizer") this.run[section].lr = lr;
      this.draw();
      at(id).focus();
    } }, make("option", { value: "" }, usual),
    ...Object.keys(classes).map((name) => make("option", { value: name, selected: name === chosen, title: said(classes[name].summary) }, name)));
    const known = classes[chosen || (section === "optimizer" ? "Adam" : "")];
    return this.group(section, t(title),
      make("div", { className: "option" }, make("label", { htmlFor: id }, t("kind")), select),
      known ? this.options(section, known.options, section === "optimizer" ? SHOWN.optimizer : ["warmup", "step_size", "gamma"]) : null);
  }

  /** The network: that of a file which was opened, or layers. */
  model() {
    if (!this.files.size) return this.layers();
    const file = this.run.model.file, { opened } = this;
    const select = make("select", { id: "model", onchange: () => {
      const source = this.run.data.source, chosen = this.files.get(select.value);
      if (chosen?.reads) {
        this.run = { ...this.run, loss: {}, data: { source: chosen.name }, model: { file: chosen.name } };
      } else if (chosen) {
        this.run.model = { file: chosen.name };
        if (opened?.reads) this.run.data = this.proposed(chosen).data;
        if (chosen.trainer) for (const section of ["loss", "optimizer", "schedule", "training"]) this.run[section] = {};
      } else {
        this.run = { ...structuredClone(this.choices.start), loss: {}, schedule: {}, ...(this.files.has(source) ? {} : { data: this.run.data }) };
      }
      this.draw();
      at("model").focus();
    } }, ...[...this.files.values()].map(({ name, reads }) => make("option", { value: name, selected: file === name }, t(reads ? "network_of_text" : "network_of_file", { name }))),
    make("option", { value: "", selected: file === undefined }, t("own_layers")));
    const row = make("div", { className: "option" }, make("label", { htmlFor: "model" }, t(opened?.reads ? "text" : "network")), select);
    if (file === undefined) {
      const group = this.layers();
      group.querySelector("legend").after(row);
      return group;
    }
    if (opened.reads) return this.group("model", t("network"), row, this.reading(opened.name));
    return this.group("model", t("layers"), row, opened.trainer ? make("p", {}, t("file_trainer", { name: opened.name })) : null);
  }

  /** The sizes of a network that reads characters. @param {string} name of the text */
  reading(name) {
    const recurrent = this.run.model.network === "gru";
    const away = [...(recurrent ? ["blocks", "heads"] : []), ...(name === "names" ? ["length"] : [])];
    const known = this.choices.reading.filter((/** @type {Option} */ o) => !away.includes(o.name));
    const rows = this.options("model", known, known.map((/** @type {Option} */ o) => o.name));
    rows.querySelector('[data-key="network"] select').addEventListener("change", () => {
      for (const size of ["blocks", "heads"]) delete this.run.model[size];
      this.draw();
      this.form.querySelector('[data-key="network"] select').focus();
    });
    return rows;
  }

  layers() {
    const layers = this.run.model.layers;
    const list = make("ol", { className: "layers" }, ...layers.map(
      (/** @type {any} */ layer, /** @type {number} */ i) => this.layer(layer, i)));
    const add = (/** @type {any[]} */ ...more) => {
      // In front of the last layer, whose outputs follow from the data.
      const last = layers.length && layers.at(-1).class === "Linear" && layers.at(-1).out_features === undefined;
      layers.splice(layers.length - (last ? 1 : 0), 0, ...more);
      this.draw();
    };
    return this.group("model", t("layers"), this.inputs(), list, make("div", { className: "controls" },
      make("button", { type: "button", className: "small", onclick: () => add({ class: "Linear", out_features: 4 }, { class: "Tanh" }) }, t("add_dense")),
      make("button", { type: "button", className: "small", onclick: () => add({ class: "ReLU" }) }, t("add_layer"))));
  }

  /** The inputs to tick: functions of two features, as a layer in front of the others. */
  inputs() {
    const layers = this.run.model.layers, expanded = layers[0]?.class === "BasisExpansion";
    if (!expanded && !this.planes.has(this.run.data.source)) return null;
    const terms = expanded ? [layers[0].terms ?? []].flat().map((/** @type {any} */ term) => String(term).replace(/\s/g, "")) : ["x1", "x2"];
    const offered = [...new Set([...FEATURES, ...terms])];
    const row = (/** @type {string} */ term, /** @type {number} */ i) => {
      const ticked = terms.includes(term);
      return make("label", {}, make("input", { type: "checkbox", id: `input-${i}`, checked: ticked,
        disabled: ticked && terms.length === 1, onchange: () => {
          const chosen = offered.filter((other) => terms.includes(other) !== (other === term));
          layers.splice(0, expanded ? 1 : 0, ...(chosen.join() === "x1,x2" ? [] : [{ class: "BasisExpansion", terms: chosen }]));
          this.draw();
          (at(`input-${i}`) ?? at("input-0"))?.focus(); // one that is not offered is gone
        } }), " ", feature(term));
    };
    const group = make("fieldset", { className: "inputs" }, make("legend", {}, t("inputs")), ...offered.map(row));
    group.title = t("inputs_help");
    return group;
  }

  /** @param {any} layer @param {number} i */
  layer(layer, i) {
    const layers = this.run.model.layers;
    const name = t("layer_n", { n: i + 1 });
    const others = Object.keys(this.choices.layers).filter((n) => !this.choices.first.includes(n));
    const option = (/** @type {string} */ n) => make("option",
      { value: n, selected: n === layer.class, title: said(this.choices.layers[n].summary) }, n);
    const select = make("select", { "aria-label": name, onchange: () => {
      const width = layer.out_features;
      layers[i] = { class: select.value };
      if (select.value === "Linear" && width) layers[i].out_features = width;
      this.draw();
    } }, ...this.choices.first.map(option), make("optgroup", { label: t("others") }, ...others.map(option)));
    const button = (/** @type {string} */ sign, /** @type {string} */ key, /** @type {() => void} */ does, /** @type {boolean} */ off) =>
      make("button", { type: "button", className: "small", title: t(key), "aria-label": `${name}: ${t(key)}`, disabled: off, onclick: () => { does(); this.draw(); } }, sign);
    const swap = (/** @type {number} */ j) => { [layers[i], layers[j]] = [layers[j], layers[i]]; };
    const options = this.choices.layers[layer.class]?.options ?? [];
    const row = (/** @type {Option} */ o) => field(o, layer[o.name], (value) => {
      if (value === undefined) delete layer[o.name];
      else layer[o.name] = value;
    }, t(`option_${o.name}`) === `option_${o.name}` ? o.name : t(`option_${o.name}`));
    const shown = options.filter((/** @type {Option} */ o) => o.required || SHOWN.layer.includes(o.name));
    const rest = options.filter((/** @type {Option} */ o) => !shown.includes(o));
    const item = make("li", { className: "layer" },
      make("div", { className: "head" }, select,
        button("↑", "up", () => swap(i - 1), i === 0),
        button("↓", "down", () => swap(i + 1), i === layers.length - 1),
        button("×", "remove", () => layers.splice(i, 1), layers.length === 1)),
      ...shown.map(row),
      rest.length ? make("details", {}, make("summary", {}, t("more")), ...rest.map(row)) : null);
    item.dataset.layer = String(i);
    if (this.choices.activations.includes(layer.class)) item.dataset.use = "activation";
    else if (/Dropout/.test(layer.class)) item.dataset.use = "regularization";
    return item;
  }

  /**
   * Show what is wrong with the network, where it is wrong; null: nothing.
   * @param {any} error
   * @param {boolean} [scroll] to it
   */
  problem(error, scroll = true) {
    this.error = error;
    for (const element of this.form.querySelectorAll(".wrong")) element.classList.remove("wrong");
    const box = at("form-problem");
    box.replaceChildren();
    if (!error) return;
    const problems = error.problems?.length ? error.problems : [error];
    for (const problem of problems) {
      const place = this.place(problem.where ?? []);
      place?.classList.add("wrong");
      place?.closest("details")?.setAttribute("open", "");
      box.append(make("p", { className: "why" }, lines(problem)));
    }
    if (scroll) box.scrollIntoView({ block: "nearest" });
  }

  /** @param {(string | number)[]} where @returns {Element | null} */
  place(where) {
    const [section, key, index, inner] = where;
    const group = this.form.querySelector(`[data-section="${CSS.escape(String(section))}"]`);
    if (!group) return null;
    if (key === "layers" && index !== undefined) {
      const layer = group.querySelector(`[data-layer="${CSS.escape(String(index))}"]`);
      return layer?.querySelector(`.option[data-key="${CSS.escape(String(inner))}"]`) ?? layer;
    }
    return group.querySelector(`.option[data-key="${CSS.escape(String(key))}"]`);
  }
}

/** @param {any} error what the server says of it */
export function lines(error) {
  if (error instanceof Error) return error.message === "lost" ? t("lost") : error.message;
  const parts = [said(error.what)];
  for (const key of ["expected", "got", "fix"]) {
    if (error[key]) parts.push(`  ${t(key)}: ${said(error[key])}`);
  }
  return parts.join("\n");
}
