// Events of a lavida watch that writes to the same folder; new ones appear by themselves, and are read aloud.

import { ask, make } from "./api.js";

const OFTEN_MS = 2000, SELDOM_MS = 15000, SHOWN = 30;
const $ = (id) => document.getElementById(id);

export async function follow() {
  let wait = SELDOM_MS;
  try {
    const told = await ask("/api/streams");
    const names = Object.keys(told.streams);
    $("streams").hidden = !names.length;
    if (names.length) {
      wait = OFTEN_MS;
      draw(told);
    }
  } catch { /* asked again */ }
  setTimeout(follow, wait);
}

function draw(told) {
  const names = Object.entries(told.streams).map(([name, count]) => `${name} (${count})`).join(", ");
  const said = `${names}${told.going_on ? `; ${told.going_on} going on` : ""}`;
  if ($("streams-said").textContent !== said) $("streams-said").textContent = said;
  const before = new Map([...$("alerts").children].map((item) => [item.dataset.key, item]));
  const items = told.events.slice(0, SHOWN).map((event) => before.get(key(event)) ?? entry(event));
  items.forEach((item, i) => { if ($("alerts").children[i] !== item) $("alerts").insertBefore(item, $("alerts").children[i] ?? null); });
  while ($("alerts").children.length > items.length) $("alerts").lastChild.remove();
}

const key = (event) => [event.id, event.going_on, event.peak_score].join();

function entry(event) {
  const when = new Date(event.start_wall).toLocaleString();
  const parts = [make("span", { className: "what", textContent: event.category }),
    make("span", { className: "when", textContent: `${event.stream}, ${when}, ${event.peak_score.toFixed(2)}` }),
    make("span", { className: "when", textContent: event.going_on ? "going on" : "" })];
  const source = event.picture && `/api/streams/pictures/${event.picture}`;
  const picture = source ? make("a", { href: source, target: "_blank", rel: "noopener" },
    make("img", { src: `${source}?${event.peak_score}`, alt: `${event.category} at ${when}`, loading: "lazy" })) : make("span");
  const item = make("li", {}, picture, ...parts);
  item.dataset.key = key(event);
  return item;
}
