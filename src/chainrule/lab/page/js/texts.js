// What the page says, in the language that was chosen.

/**
 * The texts by language and key; one with a count by the plural categories of Unicode.
 * @type {Record<string, Record<string, string | Record<string, string>>>}
 */
let tables = {};
let language = "en";

/**
 * Take the texts of all languages, and choose one.
 * @param {Record<string, Record<string, string | Record<string, string>>>} all
 * @param {string} chosen
 */
export function setTexts(all, chosen) {
  tables = all;
  chooseLanguage(chosen);
}

/** @param {string} chosen */
export function chooseLanguage(chosen) {
  language = chosen in tables ? chosen : "en";
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = t(/** @type {HTMLElement} */ (element).dataset.text ?? "");
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(/** @type {HTMLElement} */ (element).dataset.label ?? ""));
  }
}

/** @returns {string} */
export const currentLanguage = () => language;

/**
 * Return a text of the page.
 * @param {string} key
 * @param {Record<string, string | number>} [values] what stands for names in braces;
 *   n is the count of a text that has one
 */
export const t = (key, values = {}) => textIn(language, key, values);

/**
 * Return a text of the page in every language, as messages of the server come.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export const inAll = (key, values = {}) =>
  Object.fromEntries(Object.keys(tables).map((name) => [name, textIn(name, key, values)]));

/**
 * @param {string} name of a language
 * @param {string} key
 * @param {Record<string, string | number>} values
 */
function textIn(name, key, values) {
  const known = tables[name]?.[key] ?? tables.en?.[key] ?? key;
  const text = typeof known === "string" ? known
    : known[new Intl.PluralRules(name).select(Number(values.n))] ?? known.other;
  return text.replace(/\{(\w+)\}/g, (whole, place) => {
    const value = values[place] ?? whole;
    return place === "n" && typeof value === "number" ? value.toLocaleString() : String(value);
  });
}

/**
 * Return a message of the server, which comes in every language.
 * @param {string | Record<string, string> | undefined} said
 */
export function said(said) {
  if (said == null || typeof said === "string") return said ?? "";
  return said[language] ?? said.en ?? "";
}

/**
 * Return a number with so many significant digits.
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function number(value, digits = 4) {
  if (value == null) return "—";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value).replace("-", "−");
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e6)
    ? value.toExponential(digits - 1)
    : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−").replace("e-", "e−");
}
