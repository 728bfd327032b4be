// The page: what the server says goes to its parts, what a person does goes to the server.

import { Curves, label } from "./charts.js";
import { at, make, table } from "./dom.js";
import { Digit } from "./digit.js";
import { Doctor } from "./doctor.js";
import { Explore } from "./explore.js";
import { Form, lines } from "./form.js";
import { Hiding } from "./hiding.js";
import { Inside } from "./inside.js";
import { Network } from "./network.js";
import { Output, confusion } from "./output.js";
import { brokenLink, networkLink, readExploration, readLink, writeLink } from "./link.js";
import { connect } from "./recording.js";
import { Sentence } from "./sentence.js";
import { Share } from "./share.js";
import { Upload } from "./upload.js";
import { Weights } from "./weights.js";
import { Writing } from "./writing.js";
import { chooseLanguage, currentLanguage, inAll, number, said, setTexts, t } from "./texts.js";

/** @type {any} what the server has said last, by type */
const last = {};
/** The network that the form was filled with last. */
let shownRun = "";
/** Whether the server is there. */
let linked = "open";
/** @type {any} the error that is shown, or was */
let shownProblem = null;
/** @type {any[]} the last warnings of the run */
const warnings = [];
/** Pictures that came since the last frame. */
let unpainted = 0;
/** @type {Form} */
let form;
const connection = connect(heard, connected);
const curves = new Curves();
const output = new Output();
const inside = new Inside(connection);
const digit = new Digit(connection);
const hiding = new Hiding();
const share = new Share(connection, () => hiding.link());
const sentence = new Sentence(connection);
const writing = new Writing(connection);
const explore = new Explore(connection);
const tried = (/** @type {any} */ run) => {
  form.set(run);
  build(form.settings());
};
const doctor = new Doctor(connection, tried);
const upload = new Upload(connection, (run) => {
  form.offer(run.data.source);
  form.set(form.with(run));
}, (run) => {
  form.offer(run.data.source);
  form.read(run, true);
});
const weights = new Weights(connection);
const network = new Network((column, unit) => {
  if (column > 0 && last.built?.flat) output.choose([column - 1, unit]);
}, (layer, unit, input) => weights.choose(layer, unit, input));

/** The token has done its work: nobody shall copy it from the address. */
const address = new URL(location.href);
address.searchParams.delete("token");
history.replaceState(null, "", address);

// -- what the server says ----------------------------------------------------------------

/** @type {Record<string, (message: any) => void>} */
const TAKES = {
  hello(message) {
    building({ active: false });
    if (form) { // the connection came back
      explore.route();
      return form.offers(message.uploads);
    }
    const chosen = localStorage.getItem("chainrule-lab-language") ?? message.lang;
    setTexts(message.texts, chosen);
    at("language").value = chosen;
    hiding.recorded = !!message.recorded;
    hiding.read();
    if (message.recorded) return recorded();
    form = new Form(message.choices, message.uploads, build);
    form.set(readLink() ?? form.run);
    at("train").textContent = t("train");
    explore.offers(message.explorations);
    route();
    // Something to see at once: what the link says, or a first network.
    if (brokenLink()) form.problem({ what: inAll("broken_link") });
    else if (!message.busy && !last.built) build(form.settings());
  },
  building,
  opened(message) {
    form.open(message);
    if (last.built) return;
    describeOpened(message);
    at("network-part").hidden = false;
  },
  built(message) {
    delete last.lost;
    last.status = null;
    const text = JSON.stringify(message.run);
    if (message.run && text !== shownRun) {
      // What was chosen or typed since the form was sent stays.
      if (message.flat) form?.planes.add(message.run.data?.source);
      if (message.characters) form?.read(message.run, false);
      if (form && !form.touched()) form.set(message.run);
      if (message.run.model?.file === undefined) writeLink(message.run);
    }
    shownRun = text;
    curves.clear();
    warnings.length = 0;
    warn();
    describe(message);
    network.build(message);
    if (!message.layers.length) picture();
    output.build(message);
    for (const part of [inside, digit, sentence, writing, doctor, share, weights]) part.build(message);
    clearCell();
    for (const id of ["network", "doctor", "share", "inside"]) at(`${id}-part`).hidden = false;
    at("output-part").hidden = !message.flat && message.classes == null;
  },
  changed({ run }) {
    const text = JSON.stringify(run);
    if (!run || text === shownRun) return;
    if (form && !form.touched()) form.set(run);
    if (run.model?.file === undefined) writeLink(run);
    shownRun = text;
    last.built.run = run;
  },
  data: (message) => output.data(message),
  curves(message) {
    curves.take(message);
    past(message.points);
  },
  maps(message) {
    network.take(message);
    weights.take(message);
    output.take(message);
  },
  confusion: (message) => confusion(message, last.built, cell),
  status,
  lost: status,
  saved: () => {},
  sampled: () => {},
  salient: () => {},
  understood: () => {},
  written: () => {},
  foreseen: () => {},
  path: () => {},
  explored: () => {},
  rows: () => {},
  warned: ({ warning }) => {
    warnings.push(warning);
    warnings.splice(0, warnings.length - 5);
    warn();
  },
  refused: (message) => problem(message.error),
  unbuilt: (message) => form.problem(message.error),
};

/** @param {any} message */
function heard(message) {
  if (message.v !== 1) return;
  last[message.type] = message;
  if (message.arrays && message.id == null) unpainted += 1;
  TAKES[message.type]?.(message);
}

/** Say whether the server is there. */
function tellConnection() {
  at("connection").textContent = linked === "open" ? "" : t(linked === "refused" ? "no_server" : "lost");
}

/** @param {string} state */
function connected(state) {
  linked = state;
  at("connection").classList.toggle("lost", state !== "open");
  tellConnection();
  for (const button of document.querySelectorAll("button")) {
    if (state !== "open") {
      button.dataset.off ??= String(button.disabled);
      button.disabled = true;
    } else if (button.dataset.off !== undefined) {
      button.disabled = button.dataset.off === "true";
      delete button.dataset.off;
    }
  }
  if (state === "open" && last.status) status(last.status);
}

/** Show that there is a recording, and no lab: what needs one is hidden. */
function recorded() {
  document.body.classList.add("recorded");
  at("recorded").hidden = false;
}

/** @param {any} built */
function describe(built) {
  at("opened").textContent = built.run ? "" : t("opened", { name: built.name });
  const sizes = Object.entries(built.sizes).filter(([, n]) => n).map(([part, n]) => `${t(`part_${part}`)}: ${n.toLocaleString()}`);
  at("network-text").textContent = t("network_text", {
    parameters: t("parameters_n", { n: built.parameters }), loss: built.loss, optimizer: built.optimizer, engine: built.engine, sizes: sizes.join(", ") });
  modules(built.modules);
}

/** Show a network that was opened, of which no run was built yet. @param {any} opened */
function describeOpened(opened) {
  const { name, inputs, why } = opened;
  const parameters = t("parameters_n", { n: opened.parameters });
  const told = t(inputs ? "opened_inputs" : "opened_text", { name, parameters, inputs: (inputs ?? []).join(", ") });
  at("network-text").textContent = `${told} ${opened.data ? "" : t("choose_data")}`;
  modules(opened.modules);
  network.picture(opened.picture, why ? lines(why) : "");
}

/** Show the last warnings, in the language in use. */
function warn() {
  at("warnings").replaceChildren(...warnings.map((each) => make("p", { className: "why" }, lines(each))));
}

/** @param {any[]} list of modules */
function modules(list) {
  at("modules").querySelector("div").replaceChildren(table([t("module"), t("kind"), t("parameters")],
    list.map((/** @type {any} */ m) => [m.path, m.text, m.parameters.toLocaleString()])));
}

let announced = "";

/** Show the picture of a network that is not drawn unit by unit. */
async function picture() {
  const { built } = last, lang = currentLanguage();
  // Another network, or another language, may have been chosen when the answer comes.
  const current = () => last.built === built && currentLanguage() === lang;
  try {
    const { arrays } = await connection.ask("share", { what: "svg", lang });
    if (current()) network.picture(new TextDecoder().decode(arrays.data.data), "");
  } catch (error) {
    if (current()) network.picture(null, lines(error));
  }
}

/** Show that a network is being built, or no more. @param {any} message */
function building({ active }) {
  at("building-part").hidden = !active;
  at("building-state").textContent = active ? t("building_state") : "";
}

/** Show where the run stands. @param {any} message */
function status(message) {
  const lost = last.lost;
  const stage = lost ? "lost_process" : message.stage;
  const training = stage === "training";
  const played = last.hello?.recorded;
  const done = stage === "finished" || (lost && lost.goes_on);
  at("train").textContent = t(training ? "pause" : played ? "play" : done ? "again" : stage === "paused" ? "go_on" : "train");
  at("train").disabled = (stage === "failed" && !played) || (lost && !lost.goes_on);
  at("step").disabled = lost || stage === "finished" || stage === "failed";
  share.edits = message.edits ?? 0;
  const told = share.edits ? t("edited", { n: share.edits }) : "";
  if (at("edited").textContent !== told) at("edited").textContent = told;
  const rate = at("rate");
  rate.disabled = lost || message.lr_fixed !== false || stage === "failed";
  rate.title = t(message.lr_fixed ? "rate_fixed" : "rate_help");
  if (document.activeElement !== rate) rate.value = message.lr == null ? "" : String(message.lr);
  if (lost) return problem({ what: t("process_lost", { code: lost.code }), got: lost.words || undefined, fix: lost.goes_on ? t("process_goes_on", { path: lost.path }) : t("process_nothing") });
  const figures = [
    [t("stage"), t(`stage_${stage}`)], [t("step_axis"), message.step.toLocaleString()],
    [t("epoch"), message.epochs ? `${message.epoch.toLocaleString()} / ${message.epochs.toLocaleString()}` : message.epoch.toLocaleString()],
    [t("loss"), number(message.recent)],
  ];
  for (const [name, value] of Object.entries(message.last ?? {})) {
    if (name.startsWith("validation_") && name !== "validation_loss") figures.push([label(name), number(value)]);
  }
  figures.push([t("speed"), training && message.rate != null ? t("steps_a_second", { n: Math.round(message.rate) }) : "—"]);
  const list = at("figures");
  if (list.children.length !== figures.length) list.replaceChildren(...figures.map(() => make("div", {}, make("dt", {}), make("dd", {}))));
  figures.forEach(([name, value], i) => {
    list.children[i].children[0].textContent = name;
    list.children[i].children[1].textContent = value;
  });
  if (stage !== announced) {
    announced = stage;
    at("announcement").textContent = t("announce", { stage: t(`stage_${stage}`), step: message.step, loss: number(message.recent) });
  }
  if (message.error) problem(message.error);
  else if (training || message.step === 0) at("problem").hidden = true;
  const looking = message.looking;
  at("past-step").textContent = t("at_step", { step: (looking ?? message.step).toLocaleString() });
  at("now").disabled = looking == null;
  if (looking == null) at("past").value = at("past").max;
}

/** Offer the points of the past. @param {number[]} points */
function past(points) {
  at("history").hidden = points.length < 2;
  at("past").max = String(points.length);
  if (last.status?.looking == null) at("past").value = String(points.length);
}

/** Show an error; null: none. @param {any} error */
function problem(error) {
  const place = at("problem");
  shownProblem = error;
  place.hidden = !error;
  if (!error) return;
  place.replaceChildren(make("strong", {}, said(error.what)), make("dl", {},
    ...["expected", "got", "fix"].filter((key) => error[key]).flatMap((key) => [make("dt", {}, t(key)), make("dd", {}, said(error[key]))])));
}

// -- what a person does ------------------------------------------------------------------

/** @param {object} run */
async function build(run) {
  form.problem(null);
  problem(null);
  const { known } = form;
  form.send(true);
  try {
    await connection.ask("build", { run });
  } catch (error) {
    form.known = known; // nothing of it was taken
    form.problem(error);
    if (!at("form-problem").getClientRects().length) problem(error); // the form is hidden
  } finally {
    form.send(false);
  }
}

/** Say which samples are in the cell that was opened. @type {() => any[]} */
let inCell = () => [];

/** Forget the confusion matrix, and the cell of it that was opened. */
function clearCell() {
  inCell = () => [];
  at("confusion").replaceChildren();
}

/** @param {number} truth @param {number} decided @param {HTMLElement} place */
async function cell(truth, decided, place) {
  try {
    const found = await connection.ask("cell", { truth, decided });
    inCell = () => samples(found);
  } catch (error) {
    inCell = () => [make("p", { className: "why" }, lines(error))];
  }
  place.replaceChildren(...inCell());
}

/** @param {any} found the samples of a cell @returns {any[]} buttons that open them */
function samples(found) {
  return [make("p", {}, t("in_cell", { n: found.count, shown: found.rows.length })),
    ...found.rows.map((/** @type {number} */ row) => make("button", { type: "button", className: "small",
      onclick: async () => {
        await inside.open(found.part, row);
        at("inside-part").scrollIntoView();
      } }, String(row)))];
}

/** Show the view that the address names. */
function route() {
  const exploring = readExploration() !== null;
  at("network-view").hidden = exploring;
  at("explore-view").hidden = !exploring;
  for (const [id, here] of [["to-network", !exploring], ["to-explore", exploring]]) {
    if (here) at(id).setAttribute("aria-current", "page");
    else at(id).removeAttribute("aria-current");
  }
  if (exploring) explore.route();
}

addEventListener("hashchange", route);
new ResizeObserver(() => document.documentElement.style.setProperty("--run", `${at("run-part").offsetHeight}px`)).observe(at("run-part"));
at("to-network").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault();
  history.pushState(null, "", networkLink());
  route();
});
at("cancel").addEventListener("click", () => connection.tell("cancel"));
at("train").addEventListener("click", () => {
  const stage = last.status?.stage;
  if (last.lost || stage === "finished") connection.tell("again");
  else connection.tell(stage === "training" ? "pause" : "train");
});
at("step").addEventListener("click", () => connection.tell("step", { steps: Math.max(1, Math.min(10000, Math.round(Number(at("steps").value)) || 1)) }));
at("rate").addEventListener("change", () => {
  const lr = Number(at("rate").value);
  if (!(lr > 0)) at("rate").value = String(last.status?.lr ?? "");
  else if (lr !== last.status?.lr) connection.tell("rate", { lr });
});
at("past").addEventListener("input", () => {
  const points = last.curves?.points ?? [], place = Number(at("past").value);
  connection.tell("look", { step: place >= points.length ? null : points[place] });
});
at("now").addEventListener("click", () => connection.tell("look", { step: null }));
at("language").addEventListener("change", () => {
  localStorage.setItem("chainrule-lab-language", at("language").value);
  chooseLanguage(at("language").value);
  tellConnection();
  form?.translate();
  explore.draw();
  hiding.draw();
  if (last.built) {
    describe(last.built);
    network.build(last.built);
    if (!last.built.layers.length) picture();
    output.name();
    for (const part of [inside, digit, sentence, writing, doctor, share, weights]) part.translate();
    if (last.maps) TAKES.maps(last.maps);
    at("confusion").replaceChildren();
    if (last.confusion) TAKES.confusion(last.confusion);
    document.getElementById("cell")?.replaceChildren(...inCell());
  } else if (last.opened) describeOpened(last.opened);
  if (!at("problem").hidden) problem(shownProblem);
  if (last.status) status(last.status);
  else at("train").textContent = t("train");
  warn();
  building({ active: !at("building-part").hidden });
  curves.draw();
  curves.table();
  upload.show();
});

/** Paint once a frame what is new. */
function frame() {
  network.paint();
  output.paint();
  if (unpainted) connection.tell("painted", { count: unpainted });
  unpainted = 0;
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
