// Elements made of data: text becomes text nodes, never markup.

export const $ = (id) => document.getElementById(id);

/** An element with properties, and children that are elements or texts (null and "" are left out). */
export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

/** A select's options: pairs of value and label. None is selected where the one chosen is not among them. */
export function choose(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, label]) => make("option", { value, textContent: label })));
  select.value = chosen;
}

/** A button that takes something away. */
export function cross(label, onclick) {
  const button = make("button", { type: "button", className: "cross", textContent: "×", onclick });
  button.setAttribute("aria-label", label);
  return button;
}
