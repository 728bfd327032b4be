// The network as a file, or as a link.

import { at, make } from "./dom.js";
import { lines } from "./form.js";
import { currentLanguage, t } from "./texts.js";

const FILES = ["toml", "python", "onnx", "checkpoint", "svg", "html"];

export class Share {
  /**
   * @param {import("./connection.js").Connection} connection
   * @param {() => string} address what a link is
   */
  constructor(connection, address) {
    this.connection = connection;
    this.address = address;
    /** Numbers of the network that were edited by hand. */
    this.edits = 0;
    /** What can be shared. @type {string[]} */
    this.files = [];
    /** Say in the language in use what was shared. */
    this.state = () => "";
  }

  /** @param {any} built what the server says of the network */
  build(built) {
    /** The file that the network is from. */
    this.opened = built.run?.model?.file;
    /** The recipe that it is, of which a link says nothing. */
    this.recipe = built.run ? null : built.name;
    this.files = built.recorded?.files ?? FILES;
    this.state = () => "";
    this.translate();
  }

  /** Say all that is shown in the language that was chosen. */
  translate() {
    at("shares").replaceChildren(
      make("button", { type: "button", onclick: () => this.link() }, t("share_link")),
      make("button", { type: "button", onclick: () => this.picture() }, t("share_png")),
      ...this.files.map((what) => make("button", { type: "button", onclick: () => this.file(what) }, t(`share_${what}`))));
    at("share-state").textContent = this.state();
  }

  /** @param {() => string} state */
  tell(state) {
    this.state = state;
    at("share-state").textContent = state();
  }

  async link() {
    const { opened, recipe } = this;
    if (opened !== undefined) return this.tell(() => t("link_of_file", { name: opened }));
    if (recipe !== null) return this.tell(() => t("link_of_recipe", { name: recipe }));
    const address = this.address(), edited = () => this.edits ? ` ${t("link_edited")}` : "";
    try {
      await navigator.clipboard.writeText(address);
      this.tell(() => t("copied") + edited());
    } catch {
      this.tell(() => address + edited());
    }
  }

  /** @param {string} what */
  async file(what) {
    try {
      const { name, kind, arrays } = await this.connection.ask("share", { what, lang: currentLanguage() });
      save(new Blob([arrays.data.data], { type: kind }), name);
      this.tell(() => t("written", { name }));
    } catch (error) {
      this.tell(() => lines(error));
    }
  }

  /** Write the picture of the network as PNG. */
  async picture() {
    try {
      const { arrays } = await this.connection.ask("share", { what: "svg", lang: currentLanguage() });
      const url = URL.createObjectURL(new Blob([arrays.data.data], { type: "image/svg+xml" }));
      const image = new Image();
      image.src = url;
      await image.decode();
      const canvas = make("canvas", { width: 2 * image.width, height: 2 * image.height });
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      URL.revokeObjectURL(url);
      canvas.toBlob((/** @type {Blob} */ blob) => save(blob, "network.png"), "image/png");
      this.tell(() => t("written", { name: "network.png" }));
    } catch (error) {
      this.tell(() => lines(error));
    }
  }
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
