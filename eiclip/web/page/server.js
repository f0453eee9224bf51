// What is asked of the server. Every failure is an Error with a sentence to show.

import { sentence } from "./words.js";

export const MOST_BYTES = 10 * 2 ** 20;

async function asked(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  const found = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (response.ok && found !== null) return found;
  throw new Error(found?.error ? sentence(found.error) : `The server answered ${response.status}.`);
}

const path = (...parts) => `api/${parts.map(encodeURIComponent).join("/")}`;

export const catalogues = () => asked(path("catalogues"));
export const catalogue = (dataset, variant, signal) => asked(path("catalogue", dataset, variant), { signal });
export const photoOf = (dataset, product) => `${path("photo", dataset)}?product=${encodeURIComponent(product)}`;

export function values(dataset, variant, group, typed, signal) {
  return asked(`${path("values", dataset, variant)}?${new URLSearchParams({ group, typed })}`, { signal });
}

export function suggestions(dataset, variant, typed, signal) {
  return asked(`${path("suggest", dataset, variant)}?${new URLSearchParams({ typed })}`, { signal });
}

export function search(dataset, variant, query, photo, signal) {
  const body = new FormData();
  body.append("query", JSON.stringify(query));
  if (photo) body.append("photo", photo);
  return asked(path("search", dataset, variant), { method: "POST", body, signal });
}

export function click(dataset, variant, form) {
  const headers = { "Content-Type": "application/json" };
  return asked(path("click", dataset, variant), { method: "POST", headers, body: JSON.stringify(form), keepalive: true });
}
