// Answers as elements: how the query was read, what was found, and why.

import { cross, make } from "./dom.js";
import { photoOf } from "./server.js";

const VIEWS = { joint: "both", image: "photo", text: "text" };

/** Entities found in the words: those that count, to be removed, and those that do not, to be added. */
export function links(answer, picks, { remove, add, restore }) {
  const mine = answer.links.filter((link, number) => !picks.some((pick) => pick.steer && same(pick, link))
    && answer.links.findIndex((other) => same(other, link) && other.kept === link.kept) === number);
  const chips = mine.filter((link) => link.kept).map((link) => make("li", { className: "chip kept", title: link.why },
    make("span", { className: "group" }, link.group), " ", make("strong", {}, link.entity),
    link.score < 1 ? make("span", { className: "typed" }, `for “${link.words}”`) : null,
    cross(`Do not read “${link.words}” as ${link.group} ${link.entity}`, () => remove(link))));
  const offered = mine.filter((link) => !link.kept && link.why !== "given already").map((link) => {
    const take = link.why === "removed by you" ? restore : add;
    return make("li", {}, make("button", {
      type: "button", className: "chip offered", title: link.why, onclick: () => take(link),
    }, "+ ", make("span", { className: "group" }, link.group), " ", link.entity,
    make("small", { className: "group" }, inShort(link.why))));
  });
  return [
    chips.length ? make("div", {}, make("span", { className: "says" }, "Read as"), make("ul", { className: "chips" }, chips)) : null,
    offered.length ? make("div", {}, make("span", { className: "says" }, "Not read as"), make("ul", { className: "chips" }, offered)) : null,
  ].filter(Boolean);
}

const same = (one, other) => one.group === other.group && (one.value ?? one.entity) === (other.value ?? other.entity);
const inShort = (why) => why.split(/[:(]/, 1)[0].trim();

/** Entities by group, several of each, as [group, entity] pairs. */
export const pairs = (entities) => Object.entries(entities).flatMap(([group, values]) => values.map((value) => [group, value]));

/** One model's answer: its heading, gates and notes, then the products. */
export function answer(found, context) {
  const heading = make("header", { className: "heading" }, make("h2", {}, context.title),
    make("span", { className: "note" }, `${found.products.toLocaleString("en")} products, ${milliseconds(found.seconds)}`));
  const notes = [...found.notes, ...unknown(found)].map((note) => make("li", {}, note));
  const list = make("ol", { className: "hits" }, found.hits.map((hit) => product(hit, context)));
  return make("section", { className: "answer" }, heading, gates(found),
    notes.length ? make("ul", { className: "notes" }, notes) : null,
    found.hits.length ? list : make("p", { className: "empty" }, "No product is left. Take a filter away."));
}

const milliseconds = (seconds) => `${Math.max(1, Math.round(seconds * 1000))} ms`;

const unknown = (found) => Object.entries(found.unknown).map(
  ([group, values]) => `${group} ${values.map((value) => `“${value}”`).join(", ")}: not known to this model or catalogue`);

function gates(found) {
  const entries = Object.entries(found.gates);
  if (!entries.length) return null;
  const rows = entries.map(([group, weight]) =>
    make("li", {}, meter(`${group} ${(found.entities[group] ?? []).join(", ")}`, weight, "gate")));
  return make("div", { className: "gates" }, make("p", { className: "says" }, "What each entity weighs (its gate)"),
    make("ul", { className: "meters" }, rows));
}

/** A labelled bar from 0 to 1, with its number. */
function meter(label, value, kind) {
  const fill = make("span", { className: "fill" });
  fill.style.width = `${Math.min(1, Math.max(0, value)) * 100}%`;
  const bar = make("span", { className: "track" }, fill);
  bar.setAttribute("aria-hidden", "true");
  return make("span", { className: `meter ${kind}` }, make("span", { className: "name" }, label), bar,
    make("span", { className: "number" }, value.toFixed(2)));
}

function product(hit, context) {
  const shown = hit.title || hit.description || hit.product_id;
  const place = context.other?.get(hit.product_id);
  const elsewhere = context.other ? make("span", { className: place ? "place both" : "place" },
    place ? `also ${place}. of the other` : "here alone") : null;
  const views = Object.keys(VIEWS).map((view) =>
    make("li", {}, meter(VIEWS[view], hit.by_view[view], view === context.view ? "view asked" : "view")));
  const more = make("button", { type: "button", className: "quiet more", onclick: () => context.like(hit) }, "More like this");
  more.setAttribute("aria-label", `More like ${shown}`);
  return make("li", { className: "hit" }, make("article", {},
    picture(context.dataset, hit, shown),
    make("div", { className: "what" },
      make("h3", {}, make("span", { className: "rank" }, `${hit.rank}.`), " ", shown),
      make("p", { className: "facts" }, make("span", {}, price(hit.price)),
        make("span", { className: "score", title: "similarity with the query" }, hit.score.toFixed(3))),
      elsewhere,
      hit.description && hit.description !== shown ? make("p", { className: "description" }, hit.description) : null,
      tags(hit, context), make("ul", { className: "meters" }, views), more)));
}

const price = (value) => (value === null ? "" : value.toLocaleString("en", { maximumFractionDigits: 2 }));

/** A product's photo, or what says that there is none. */
export function picture(dataset, hit, shown) {
  const none = () => make("span", { className: "no-photo" }, "no photo");
  const frame = make("div", { className: "photo" });
  if (!hit.image_id) return make("div", { className: "photo" }, none());
  frame.append(make("img", { src: photoOf(dataset, hit.product_id), alt: shown, loading: "lazy",
    onerror: () => frame.replaceChildren(none()) }));
  return frame;
}

/** A product's entities; those that the query asked for first, ticked. */
function tags(hit, context) {
  const all = pairs(hit.entities).map(([group, value]) =>
    ({ group, value, right: context.wanted.has(`${group}:${value}`) }));
  all.sort((one, other) => other.right - one.right);
  return make("ul", { className: "tags" }, all.map(({ group, value, right }) =>
    make("li", { className: right ? "right" : "", title: group }, right ? "✓ " : "", value,
      right ? make("span", { className: "unseen" }, ` (${group}, as asked)`) : null)));
}
