// A list of events with their pictures, which grows by itself.

import { arrange, make } from "./api.js";

// events with their pictures; those that are known stay as they are
export function alerts(place, events) {
  const before = new Map([...place.children].map((item) => [item.dataset.key, item]));
  arrange(place, events.map((event) => before.get(key(event)) ?? entry(event)));
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
