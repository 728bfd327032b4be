// One's own data: files that are dropped or chosen, and the questions they raise.

import { at, make, table, wide } from "./dom.js";
import { lines } from "./form.js";
import { inAll, said, t } from "./texts.js";

const IMAGE = /\.(png|jpe?g|bmp|gif|webp|tiff?|ppm)$/i;
/** Images that are sent at the same time. */
const ABREAST = 4;

/**
 * A file, and the path that it has within a folder.
 * @typedef {{file: File, path: string}} Found
 */

export class Upload {
  /**
   * @param {import("./connection.js").Connection} connection
   * @param {(run: any) => void} ready gets a run that suits the data
   * @param {(run: any) => void} read gets a run that reads a text by characters
   */
  constructor(connection, ready, read) {
    this.connection = connection;
    this.ready = ready;
    this.read = read;
    /** What has been read of the data that there are questions about. @type {any} */
    this.found = null;
    /** The answers to its questions. @type {any[]} */
    this.answers = [];
    /** Say where the upload stands, in the language that is chosen. */
    this.state = () => "";
    const place = at("drop");
    for (const name of ["dragover", "dragleave", "drop"]) {
      document.addEventListener(name, (event) => {
        event.preventDefault();
        place.classList.toggle("over", name === "dragover");
      });
    }
    document.addEventListener("drop", async (event) => this.take(await dropped(event)));
    for (const id of ["files", "folder"]) {
      at(id).addEventListener("change", async () => {
        const files = [...at(id).files];
        await this.take(files.map((file) => ({ file, path: file.webkitRelativePath || file.name })));
        at(id).value = "";
      });
    }
  }

  /** @param {Found[]} found */
  async take(found) {
    if (!found.length) return;
    const folder = found.some(({ path }) => path.includes("/"));
    const files = folder ? found.filter(({ path }) => IMAGE.test(path) && !/(^|\/)\./.test(path)) : found.slice(0, 1);
    const places = new Set(files.map(({ path }) => path.split("/").slice(0, -2).join("/")));
    const drop = `${Date.now()}-${Math.random()}`;
    this.ask(null);
    let source = "", done = 0;
    try {
      if (!files.length) throw { what: inAll("no_images") };
      if (places.size > 1) throw { what: inAll("several_places", { places: [...places].sort().slice(0, 3).join(", ") }) };
      const waiting = [...files];
      const send = async () => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          source = await post(next, drop);
          const sent = ++done;
          this.tell(() => t("uploaded", { done: sent, n: files.length }));
        }
      };
      await Promise.all(Array.from({ length: ABREAST }, send));
      await this.examine(source, null);
    } catch (error) {
      this.tell(() => lines(error));
    }
  }

  /** @param {() => string} state */
  tell(state) {
    this.state = state;
    at("upload-state").textContent = state();
  }

  /** Ask the questions of data, or no more. @param {any} found */
  ask(found) {
    this.found = found;
    this.answers = found?.questions.map(() => null) ?? [];
    this.draw();
  }

  /** Show all again, in the language that is chosen now. */
  show() {
    this.tell(this.state);
    this.draw();
  }

  /**
   * @param {string} source
   * @param {string | null} target
   * @param {string | null} [text] the column of texts; "": none; null: as it is found
   */
  async examine(source, target, text = null) {
    this.tell(() => t("examining", { name: source }));
    try {
      const found = await this.connection.ask("examine", { source, target, text });
      this.tell(() => found.columns.length
        ? t("examined", { name: source, rows: t("rows_n", { n: found.rows }), columns: t("columns_n", { n: found.names.length }) })
        : t(found.reading ? "examined_text" : "examined_images", { name: source }));
      this.ask(found);
    } catch (error) {
      this.tell(() => lines(error));
    }
  }

  draw() {
    const place = at("questions"), { found, answers } = this;
    const open = place.querySelector("details")?.open ?? false;
    if (!found) return place.replaceChildren();
    const use = make("button", { type: "button", className: "main" }, t("use_data"));
    const check = () => { use.disabled = answers.some((a) => a == null); };
    use.addEventListener("click", () => {
      const run = structuredClone(found.run);
      for (const answer of answers) {
        for (const [key, value] of Object.entries(answer ?? {})) {
          const known = run.data[key];
          run.data[key] = typeof value === "object" && !Array.isArray(value) ? { ...known, ...value } : value;
        }
      }
      this.ask(null);
      this.ready(run);
    });
    check();
    const parts = [];
    if (found.columns.length) {
      const select = make("select", { id: "target", onchange: () => this.examine(found.source, select.value) },
        ...found.names.map((/** @type {string} */ name) => make("option", { value: name, selected: name === found.target }, name)));
      const text = make("select", { id: "text-column", onchange: () => this.examine(found.source, select.value, text.value) },
        make("option", { value: "" }, t("no_text_column")),
        ...found.names.filter((/** @type {string} */ name) => name !== found.target).map((/** @type {string} */ name) => make("option", { value: name, selected: name === found.text }, name)));
      parts.push(make("div", { className: "option" }, make("label", { htmlFor: "target" }, t("target")), select));
      parts.push(make("div", { className: "option" }, make("label", { htmlFor: "text-column" }, t("text_column")), text));
      parts.push(make("details", { open }, make("summary", {}, t("columns")), wide(t("columns"),
        table([t("column"), t("kind"), t("missing"), t("examples")], found.columns.map((/** @type {any} */ c) =>
          [c.name, c.reason ? said(c.reason) : t(`kind_${c.kind}`), String(c.missing), c.examples.join(", ")])))));
    }
    for (const note of found.notes) parts.push(make("p", {}, said(note)));
    found.questions.forEach((/** @type {any} */ question, /** @type {number} */ i) => {
      parts.push(make("fieldset", {}, make("legend", {}, t("question")),
        make("p", {}, `${said(question.what)} ${said(question.seen)}`),
        ...question.answers.map((/** @type {any} */ answer, /** @type {number} */ k) => make("label", {},
          make("input", { type: "radio", name: `question-${i}`, checked: answers[i] === answer, onchange: () => { answers[i] = answer; check(); } }),
          ` ${shown(answer)}${k === 0 ? `: ${said(question.means)}` : ""}`))));
    });
    if (found.reading) {
      const read = make("button", { type: "button", className: "main", id: "read-text", onclick: () => {
        this.ask(null);
        this.read(found.reading);
      } }, t("read_text"));
      parts.push(make("p", {}, t("read_text_help")), make("div", { className: "controls" }, found.run ? use : "", read));
    } else parts.push(use);
    place.replaceChildren(...parts);
  }
}

/** @param {any} answer settings of a run file @returns {string} */
function shown(answer) {
  return Object.entries(answer).map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join(", ");
}

/**
 * @param {Found} found
 * @param {string} drop the same for all files that come together
 * @returns {Promise<string>} the name of the data
 */
async function post({ file, path }, drop) {
  const response = await fetch(`upload?name=${encodeURIComponent(path)}&drop=${drop}`, { method: "POST", body: file });
  if (!(response.headers.get("content-type") ?? "").includes("json")) throw { what: await response.text() };
  const answer = await response.json();
  if (answer.type === "refused") throw answer.error;
  return answer.source;
}

/**
 * Return the files of a drop, those in folders too.
 * @param {DragEvent} event
 * @returns {Promise<Found[]>}
 */
async function dropped(event) {
  const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...(event.dataTransfer?.files ?? [])].map((file) => ({ file, path: file.name }));
  /** @type {Found[]} */
  const found = [];
  const walk = async (/** @type {any} */ entry, /** @type {string} */ path) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ file, path: path + entry.name });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const inner of some) await walk(inner, `${path}${entry.name}/`);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return found;
}
