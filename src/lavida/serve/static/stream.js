// One stream: its newest picture with its regions, its curve, how it is, its events, and what is asked of it.

import { alerts } from "./alerts.js";
import { ask, make, say, words } from "./api.js";
import { Curve, colour } from "./curve.js";
import { Regions, polygons, written } from "./regions.js";

const LEAST_S = 60, MOST_S = 300, GAP_S = 5, TURN_MS = 250, HOUR_S = 3600;
const $ = (id) => document.getElementById(id);
const TWICE = ["only", "ignore"];

export class StreamView {
  // changed: called with what the server tells after a change; gone: the stream is no longer there
  constructor({ changed, gone }) {
    Object.assign(this, { changed, gone, name: null, stream: null, dirty: false, base: Math.floor(Date.now() / 1000 / HOUR_S) * HOUR_S, pictured: null });
    this.curve = new Curve($("stream-curve"), {
      chosen: (place) => this.chosen(place),
      said: (place) => `${this.clock(this.curve.times[place])}, score ${this.curve.scores[place].toFixed(2)}`,
      label: (time, step) => this.clock(time, step >= 60),
    });
    this.curve.gap = GAP_S;
    this.regions = new Regions($("stream-regions"), {
      drawn: (corners) => {
        const field = $(`stream-${this.drawing}`);
        field.value = [field.value.trim(), written([corners])].filter(Boolean).join("\n");
        this.touched();
      },
      ended: () => this.tools(null),
    });
    for (const kind of TWICE) $(`draw-${kind}`).addEventListener("click", () => this.tools(kind));
    $("draw-finish").addEventListener("click", () => this.regions.finish());
    $("draw-back").addEventListener("click", () => this.regions.back());
    $("draw-cancel").addEventListener("click", () => this.regions.stop());
    $("stream-form").addEventListener("input", () => this.touched());
    $("stream-form").addEventListener("submit", (event) => { event.preventDefault(); this.save(); });
    $("stream-turn").addEventListener("click", () => this.put({ active: !this.stream.entry.active }));
    $("stream-remove").addEventListener("click", () => this.remove());
    $("stream-picture").addEventListener("load", ({ target }) => {  // as large as there is room, in its own shape
      const ratio = target.naturalWidth / target.naturalHeight;
      Object.assign(target.parentElement.style, { aspectRatio: ratio, width: `min(100%, ${62 * ratio}vh)` });
    });
    setInterval(() => this.turn(), TURN_MS);
  }

  clock(time, minutes = false) {
    return new Date((time + this.base) * 1000).toLocaleTimeString([], minutes ? { timeStyle: "short" } : { timeStyle: "medium" });
  }

  open(name) {
    this.regions.stop();
    Object.assign(this, { name, stream: null, dirty: false, pictured: null, series: null, filled: null, begun: name === null });
    this.curve.clear();
    $("stream").hidden = false;
    for (const id of ["stream-fault", "stream-saved", "stream-words-said", "stream-moment"]) $(id).textContent = "";
    $("stream-title").textContent = name ?? "A new stream";
    $("stream-picture").removeAttribute("src");
    $("stream-alerts").replaceChildren();
    $("stream-health").replaceChildren();
    this.fill({ url: "", words: [], threshold: null, regions: [], ignore: [], active: true });
    $("stream-seen").hidden = name === null;
    $("stream-name-field").hidden = name !== null;
    $("stream-name").value = "";
  }

  close() {
    this.regions.stop();
    this.name = this.stream = null;
    $("stream").hidden = true;
  }

  // what is known now of all streams
  take(told, series) {
    if ($("stream").hidden) return;
    $("stream-allowed").textContent = told.watch.allowed.length ? `Addresses that the file names, and those of: ${told.watch.allowed.join(", ")}.`
      : "Addresses that the file names; others need --allow-streams HOST at the server’s start.";
    $("stream-form").hidden = told.watch.file === null;
    if (this.name === null) return;
    const stream = told.now.find((each) => each.name === this.name);
    if (!stream) {
      if (this.stream) this.gone();
      return;
    }
    this.stream = stream;
    say("stream-words-said", `${stream.words.join(", ")}${stream.threshold === null ? "" : `; threshold ${stream.threshold.toFixed(2)}`}`);
    this.health(stream);
    this.picture(stream);
    const events = told.events.filter((event) => event.stream === stream.name);
    this.score(stream, series, events);
    alerts($("stream-alerts"), events);
    $("stream-no-alerts").hidden = events.length > 0;
    this.form(stream, told.watch);
  }

  health(stream) {
    const out = stream.dropped + stream.thinned;
    const facts = { State: stream.state, "": stream.message, "Looked at": stream.rate === null ? "" : `${stream.rate.toFixed(1)} frames a second`,
      "Left out": out ? `${out} frames` : "", "Held back": stream.held_back ? `${stream.held_back} events` : "", Events: String(stream.events) };
    const now = JSON.stringify(facts);
    if ($("stream-health").dataset.now === now) return;
    $("stream-health").dataset.now = now;
    $("stream-health").replaceChildren(...Object.entries(facts).filter(([, text]) => text).flatMap(([name, text]) => [
      ...(name ? [make("dt", { textContent: name })] : []), make("dd", { textContent: text })]));
    $("stream-health").dataset.state = stream.state;
  }

  picture(stream) {
    if (stream.picture_at !== null && stream.picture_at !== this.pictured) {
      this.pictured = stream.picture_at;
      $("stream-picture").src = `/api/streams/picture?stream=${encodeURIComponent(stream.name)}&at=${stream.picture_at}`;
      $("stream-picture").alt = `${stream.name} at ${new Date(stream.picture_at * 1000).toLocaleTimeString()}`;
    }
    $("stream-stage").hidden = stream.picture_at === null;
  }

  score(stream, series, events) {
    const { curve } = this, names = JSON.stringify(stream.words), first = !curve.times.length;
    const time = (wall) => (wall ? Date.parse(wall) : Date.now()) / 1000 - this.base;
    curve.events = events.map((event) => ({ start_s: time(event.start_wall), end_s: time(event.end_wall), peak_s: time(event.start_wall) }))
      .filter((event) => event.end_s > curve.begin).map((event) => ({ ...event, start_s: Math.max(event.start_s, curve.begin) })).reverse();
    if (series) [curve.times, curve.scores, curve.rows] = [series.times.map((time) => time - this.base), series.scores, series.category_scores];
    if (curve.now !== null) curve.place = curve.nearest(curve.now);  // the oldest scores have gone
    else curve.place = Math.max(0, curve.times.length - 1);
    if (stream.threshold !== null) curve.threshold = stream.threshold;
    if ($("stream-legend").dataset.words !== names) {
      $("stream-legend").dataset.words = names;
      $("stream-legend").replaceChildren(...(stream.words.length > 1 ? stream.words.map((name, i) => key(name, colour(i))) : []));
    }
    this.turn();
    if (first && curve.times.length) curve.speak();
  }

  // time goes on, whether or not scores come
  turn() {
    if ($("stream").hidden || $("stream-seen").hidden) return;
    this.curve.length = Date.now() / 1000 - this.base;
    const known = this.curve.length - (this.curve.times[0] ?? this.curve.length);
    this.curve.begin = this.curve.length - Math.min(MOST_S, Math.max(LEAST_S, known));
    if (this.curve.now !== null && this.curve.now < this.curve.begin) this.curve.now = null;
    this.curve.draw({ quiet: true });
  }

  chosen(place) {
    const { curve } = this;
    curve.now = curve.times[place];
    $("stream-moment").textContent = `${this.clock(curve.now)}, score ${curve.scores[place].toFixed(2)}`;
    curve.draw();
  }

  // what is asked of it

  form(stream, watch) {
    const { entry } = stream;
    $("stream-form").hidden = entry === null;
    $("stream-other").hidden = watch.file === null || entry !== null;
    if (entry === null) return this.regions.show(stream.regions, stream.ignore);
    $("stream-threshold").placeholder = stream.threshold?.toFixed(2) ?? "";
    $("stream-turn").textContent = entry.active ? "Stop" : "Start";
    if (!this.dirty && JSON.stringify(entry) !== this.filled) this.fill(entry);
  }

  fill(entry) {
    this.filled = JSON.stringify(entry);
    this.entry = entry;
    this.dirty = false;
    $("stream-url").value = entry.url;
    $("stream-words").value = entry.words.join("\n");
    $("stream-threshold").value = entry.threshold ?? "";
    $("stream-only").value = written(entry.regions);
    $("stream-ignore").value = written(entry.ignore);
    $("stream-actions").hidden = this.name === null;
    this.regions.show(entry.regions, entry.ignore);
  }

  touched() {
    this.dirty = true;
    $("stream-saved").textContent = "";
    try {
      this.regions.show(...TWICE.map((kind) => polygons($(`stream-${kind}`).value)));
      $("stream-fault").textContent = "";
    } catch { /* said when it is saved */ }
  }

  tools(kind) {
    this.drawing = kind ?? this.drawing;
    $("draw-tools").hidden = kind === null;
    for (const each of TWICE) $(`draw-${each}`).setAttribute("aria-pressed", String(each === kind));
    if (kind !== null) {
      this.regions.start();
      $("stream-stage").scrollIntoView({ block: "nearest" });
    }
  }

  async save() {
    this.regions.stop();
    try {
      const asked = this.asked();
      const name = this.name ?? $("stream-name").value.trim();
      if (!name) throw new Error("Give the stream a name.");
      if (await this.put(asked, name) && this.name === null) this.open(name);
    } catch (error) {
      $("stream-fault").textContent = error.message;
    }
  }

  // what has been changed
  asked() {
    const { entry } = this, asked = {}, threshold = $("stream-threshold").value;
    const now = { url: $("stream-url").value.trim(), words: words($("stream-words").value), threshold: threshold === "" ? null : Number(threshold),
      regions: polygons($("stream-only").value), ignore: polygons($("stream-ignore").value) };
    if (!now.words.length) now.words = null;  // those of the file
    const before = { ...entry, words: entry.words.length ? entry.words : null };
    for (const [field, value] of Object.entries(now)) {
      const shown = ["regions", "ignore"].includes(field) ? polygons(written(before[field])) : before[field];
      if (JSON.stringify(value) !== JSON.stringify(shown)) asked[field] = value;
    }
    return asked;
  }

  async put(asked, name = this.name) {
    $("stream-fault").textContent = "";
    try {
      const told = await ask(`/api/streams/${encodeURIComponent(name)}`, { method: "PUT", json: asked });
      this.dirty = false;
      const runs = told.watch.state === "running" ? "Saved; the watch takes it within a second." : "Saved.";
      this.changed(told);
      $("stream-saved").textContent = runs;
      return true;
    } catch (error) {
      $("stream-fault").textContent = error.message;
      return false;
    }
  }

  async remove() {
    if (!confirm(`Take ${this.name} out of the configuration?`)) return;
    try {
      await ask(`/api/streams/${encodeURIComponent(this.name)}`, { method: "DELETE" });
      this.gone();
    } catch (error) {
      $("stream-fault").textContent = error.message;
    }
  }
}

export function key(name, stroke) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 13 5");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [attribute, value] of [["d", "M0 2.5h13"], ["stroke", stroke], ["stroke-width", "3"]]) line.setAttribute(attribute, value);
  svg.append(line);
  return make("li", {}, svg, name);
}
