// Inputs for the options of a section, as the server describes them.

import { make } from "./dom.js";
import { said } from "./texts.js";

/**
 * An option of a class or a section.
 * @typedef {{name: string, kinds: string[], default: any, required: boolean, doc: string | Record<string, string>,
 *   minimum?: number, maximum?: number, enum?: string[]}} Option
 */

let counter = 0;

/** @param {any} value */
const written = (value) => Array.isArray(value) ? value.join(", ") : String(value);

/**
 * Return what was typed as the value of an option; undefined: as by default.
 * @param {Option} option
 * @param {string} text
 */
export function typed(option, text) {
  const trimmed = text.trim();
  if (!trimmed) return undefined;
  if (option.kinds.includes("array") && trimmed.includes(",")) {
    return trimmed.split(",").map((part) => part.trim()).filter(Boolean)
      .map((part) => (Number.isFinite(Number(part)) ? Number(part) : part));
  }
  const value = Number(trimmed);
  const numeric = option.kinds.includes("number") || option.kinds.includes("integer");
  if (Number.isFinite(value) && (numeric || option.kinds.includes("array"))) {
    return option.kinds.includes("array") && !numeric ? [value] : value;
  }
  return trimmed;
}

/**
 * Make a labelled input of an option.
 * @param {Option} option
 * @param {any} value the value that is set; undefined: none
 * @param {(value: any) => void} changed
 * @param {string} [label]
 */
export function field(option, value, changed, label = option.name) {
  const id = `option-${++counter}`;
  const numeric = option.kinds.every((kind) => kind === "integer" || kind === "number");
  let input;
  if (option.kinds.length === 1 && option.kinds[0] === "boolean") {
    input = make("input", { type: "checkbox", id, checked: value ?? option.default ?? false });
    input.addEventListener("change", () => changed(input.checked));
  } else if (option.enum && !numeric && option.kinds.length === 1) {
    input = make("select", { id, onchange: () => changed(input.value || undefined) },
      ...(option.required ? [] : [make("option", { value: "" }, option.default == null ? "—" : written(option.default))]),
      ...option.enum.map((item) => make("option", { value: item, selected: item === value }, item)));
  } else {
    input = make("input", {
      type: numeric ? "number" : "text", id,
      value: value == null ? "" : written(value),
      placeholder: option.default == null ? "" : written(option.default),
      onchange: () => {
        input.defaultValue = input.value;
        changed(typed(option, input.value));
      },
    });
    input.defaultValue = input.value;  // another value is one that is being typed
    if (numeric) {
      input.step = "any";
      if (option.minimum != null) input.min = String(option.minimum);
      if (option.maximum != null && option.maximum < 2 ** 31 - 1) input.max = String(option.maximum);
    }
  }
  input.dataset.key = option.name;
  const row = make("div", { className: "option", title: said(option.doc) },
    make("label", { htmlFor: id }, label), input);
  row.dataset.key = option.name;
  return row;
}
