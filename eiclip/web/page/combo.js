// A text field that offers what may be meant as it is typed: arrows, Enter and Escape, or the pointer.

import { make } from "./dom.js";

let made = 0;

/**
 * Makes a combobox of an input. `offer(typed, signal)` gives the options ({text, note}), `pick(option)` takes the one chosen.
 * In a `free` field Enter takes the option that is marked, and none is until an arrow is pressed; else it is the form's.
 */
export function combobox(input, offer, pick, { free = false, called = "Values" } = {}) {
  const id = `offers-${++made}`;
  const list = make("ul", { id, className: "offers", hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", called);
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

  function take(option) {
    input.value = free ? option.text : "";
    close();
    pick(option);
  }

  function mark(place) {
    at = place;
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === at)));
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  async function open() {
    waiting?.abort();
    const own = (waiting = new AbortController());
    try {
      offered = free && !input.value.trim() ? [] : await offer(input.value, own.signal);
    } catch {
      if (waiting === own) close();
      return;
    }
    if (own.signal.aborted) return;
    if (free && !offered.length) {
      close();
      return;
    }
    list.replaceChildren(...offered.map(item));
    if (!offered.length) list.append(make("li", { className: "none", textContent: "nothing like it" }));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(!free && input.value && offered.length ? 0 : -1);
  }

  function item(option, number) {
    const shown = make("li", { id: `${id}-${number}` }, make("span", {}, option.text), make("small", {}, option.note));
    shown.setAttribute("role", "option");
    // Before the field loses the focus, which closes the list.
    shown.addEventListener("pointerdown", (event) => { event.preventDefault(); take(option); });
    return shown;
  }

  for (const name of free ? ["input"] : ["input", "focus"]) input.addEventListener(name, () => { coming = open(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", async (event) => {
    if (event.key === "Enter" && free) {
      if (!list.hidden && at >= 0) {
        event.preventDefault();
        take(offered[at]);
      } else close();  // the form is searched by what was typed
    } else if (event.key === "Enter") {
      event.preventDefault();  // the form is searched by what was picked, not by what is half typed
      await coming;  // who types fast means what was typed, not what was offered before
      if (!list.hidden && at >= 0) take(offered[at]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();  // which would empty a search field
      close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) coming = open();
      else if (offered.length) {
        // One place more than options: the field itself, with nothing marked.
        const places = offered.length + (free ? 1 : 0), from = at < 0 ? (free ? offered.length : event.key === "ArrowDown" ? -1 : 0) : at;
        const to = (from + (event.key === "ArrowDown" ? 1 : -1) + places) % places;
        mark(to === offered.length ? -1 : to);
      }
    }
  });
}
