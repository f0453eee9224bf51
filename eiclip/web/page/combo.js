// A text field that offers the values of a group as they are typed: arrows, Enter and Escape, or the pointer.

import { make } from "./dom.js";

let made = 0;

/** Makes a combobox of an input. `offer(typed, signal)` gives the values, `pick(value)` takes the one chosen. */
export function combobox(input, offer, pick) {
  const id = `offers-${++made}`;
  const list = make("ul", { id, className: "offers", hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Values");
  input.closest(".combo").append(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-controls": id, "aria-expanded": "false",
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false" })) input.setAttribute(name, value);
  let offered = [], at = -1, waiting = null, coming = Promise.resolve();

  function close() {
    waiting?.abort();
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    at = -1;
  }

  function take(value) {
    input.value = "";
    close();
    pick(value);
  }

  function mark(place) {
    at = place;
    [...list.children].forEach((option, number) => option.setAttribute("aria-selected", String(number === at)));
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  }

  async function open() {
    waiting?.abort();
    const own = (waiting = new AbortController());
    try {
      offered = await offer(input.value, own.signal);
    } catch {
      if (waiting === own) close();
      return;
    }
    if (own.signal.aborted) return;
    list.replaceChildren(...offered.map(option));
    if (!offered.length) list.append(make("li", { className: "none", textContent: "nothing like it" }));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(input.value && offered.length ? 0 : -1);
  }

  function option(value, number) {
    const item = make("li", { id: `${id}-${number}` }, make("span", {}, value.value),
      make("small", {}, value.products.toLocaleString("en")));
    item.setAttribute("role", "option");
    // Before the field loses the focus, which closes the list.
    item.addEventListener("pointerdown", (event) => { event.preventDefault(); take(value); });
    return item;
  }

  for (const name of ["input", "focus"]) input.addEventListener(name, () => { coming = open(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", async (event) => {
    if (event.key === "Enter") {
      event.preventDefault();  // the form is searched by what was picked, not by what is half typed
      await coming;  // who types fast means what was typed, not what was offered before
      if (!list.hidden && at >= 0) take(offered[at]);
    } else if (event.key === "Escape") close();
    else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !list.hidden && offered.length) {
      event.preventDefault();
      mark((at + (event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1) + offered.length) % offered.length);
    }
  });
}
