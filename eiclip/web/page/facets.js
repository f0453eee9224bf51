// The values that products have, with how many of those left have each: ticked, they are filters.

import { make } from "./dom.js";
import { label, number } from "./words.js";

const SHOWN = 6, OPEN = 3;
const all = new Set();  // groups whose values are all shown
const opened = new Map();  // groups that were opened or closed by hand

/** The facets of an answer's counts, in the order of `groups`; `toggle(group, value)` ticks one, or no longer. */
export function facets(counts, groups, picks, toggle) {
  const shown = [], same = new Set();
  for (const group of groups.filter((name) => name !== "availability")) {
    const ticked = picks.filter((pick) => pick.filter && pick.group === group).map((pick) => pick.value);
    const counted = counts[group] ?? [], whole = JSON.stringify(counted);
    if (same.has(whole) && !ticked.length) continue;  // the category may be but the kind again
    same.add(whole);
    const values = [...counted, ...ticked.filter((value) => !counted.some(([own]) => own === value)).map((value) => [value, 0])];
    if (values.length > 1 || ticked.length) shown.push(facet(group, values, ticked, shown.length < OPEN, toggle));
  }
  return shown;
}

function facet(group, values, ticked, open, toggle) {
  const items = values.map(([value, products], place) => {
    const tick = make("input", { type: "checkbox", checked: ticked.includes(value), onchange: () => toggle(group, value) });
    tick.dataset.key = `facet ${group}:${value}`;
    const own = make("li", {}, make("label", { className: "check" }, tick, make("span", { title: value }, value),
      make("small", {}, number(products))));
    own.hidden = place >= SHOWN && !ticked.includes(value) && !all.has(group);
    return own;
  });
  const list = make("ul", {}, items);
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", label(group));
  const folded = items.some((item) => item.hidden);
  const more = folded || all.has(group) ? make("button", { type: "button", className: "quiet" },
    folded ? `All ${values.length}` : "Fewer") : null;
  more?.setAttribute("aria-expanded", String(!folded));
  more?.setAttribute("aria-label", `${folded ? `All ${values.length} values` : "Fewer values"} of ${label(group)}`);
  if (more) {
    more.dataset.key = `all ${group}`;
    more.onclick = () => {
      if (!all.delete(group)) all.add(group);
      const fresh = facet(group, values, ticked, true, toggle);
      whole.replaceWith(fresh);
      fresh.querySelector("button")?.focus();
    };
  }
  const whole = make("details", { className: "facet", open: opened.get(group) ?? (open || ticked.length > 0) },
    make("summary", {}, label(group)), list, more);
  whole.addEventListener("toggle", () => opened.set(group, whole.open));
  return whole;
}
