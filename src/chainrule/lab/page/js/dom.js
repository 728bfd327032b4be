// Elements: made without markup from text, so that no text becomes markup.

/**
 * Make an element.
 * @param {string} name
 * @param {Record<string, any>} [props] properties, attributes with "-", or `on…` functions
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function make(name, props = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value == null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else /** @type {any} */ (element)[key] = value;
  }
  for (const child of children) if (child != null) element.append(child);
  return element;
}

/**
 * Return the element of an id.
 * @param {string} id
 * @returns {any}
 */
export const at = (id) => document.getElementById(id);

/**
 * Make a table.
 * @param {string[]} heads
 * @param {(string | Node)[][]} rows
 * @param {string} [caption]
 */
export function table(heads, rows, caption) {
  return make("table", {},
    caption ? make("caption", {}, caption) : null,
    make("thead", {}, make("tr", {}, ...heads.map((h) => make("th", { scope: "col" }, h)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))));
}

/**
 * Make a place that scrolls to the side, which the keyboard can do too.
 * @param {string} label
 * @param {...Node} children
 */
export const wide = (label, ...children) => make("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": label }, ...children);

/**
 * Put a formula of the server, which is MathML, into an element.
 * @param {Element} element
 * @param {string} mathml
 */
export function putMath(element, mathml) {
  const parsed = new DOMParser().parseFromString(mathml, "text/html");
  for (const node of [...parsed.body.childNodes]) element.append(document.importNode(node, true));
}

/**
 * Return the number of an input, within its limits, which it then shows.
 * @param {string} id
 * @returns {number}
 */
export function within(id) {
  const input = at(id), text = input.value.trim();
  const typed = text && Number.isFinite(Number(text)) ? Number(text) : Number(input.defaultValue);
  const value = Math.max(Number(input.min), Math.min(Number(input.max), typed));
  input.value = String(value);
  return value;
}
