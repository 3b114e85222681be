// The streams of a lavida watch that writes to the same folder: their list, what they are like, alerts; all by itself.

import { alerts } from "./alerts.js";
import { arrange, ask, make, say } from "./api.js";
import { StreamView } from "./stream.js";

const OFTEN_MS = 1200, SELDOM_MS = 15000, SHOWN = 30, KEPT_S = 600;
const $ = (id) => document.getElementById(id);
const WATCH = { running: "A watch runs", starting: "A watch is being started …", none: "Nobody watches" };

export class Streams {
  // opened: called when a stream is about to be shown
  constructor({ opened }) {
    Object.assign(this, { opened, told: null, next: 0, series: null, about: null });
    this.view = new StreamView({ changed: (told) => this.take(told), gone: () => this.close() });
    $("stream-new").addEventListener("click", () => this.show(null));
    for (const [id, method] of [["watch-start", "POST"], ["watch-stop", "DELETE"]]) {
      $(id).addEventListener("click", () => this.change(id, method));
    }
    this.wait = null;
    this.follow();
  }

  // asks again and again; more often while there is something to see
  async follow() {
    clearTimeout(this.wait);
    let wait = SELDOM_MS;
    try {
      const told = await ask("/api/streams");
      if (told.now.length || told.events.length || told.watch.file) wait = OFTEN_MS;
      await this.scores(told);
      this.take(told);
    } catch { /* asked again */ }
    clearTimeout(this.wait);
    this.wait = setTimeout(() => this.follow(), wait);
  }

  // what scores are about: the stream that is shown, and its words now
  subject(told) {
    const stream = told.now.find((each) => each.name === this.view.name);
    return stream ? JSON.stringify([stream.name, stream.words]) : null;
  }

  async scores(told) {
    const { name } = this.view, about = this.subject(told);
    if (about === null) return;
    if (about !== this.about) Object.assign(this, { about, next: 0, series: { times: [], scores: [], category_scores: [] } });
    const after = this.next;
    const got = await ask(`/api/streams/scores?stream=${encodeURIComponent(name)}&after=${after}`);
    if (about !== this.about || after !== this.next) return;  // asked twice at once
    if (got.next < after) this.about = null;  // begun anew
    this.next = got.next;
    const more = got.streams[name], oldest = Date.now() / 1000 - KEPT_S;
    if (!more) return;
    const old = this.series.times.filter((time) => time < oldest).length;
    for (const key of Object.keys(this.series)) this.series[key] = [...this.series[key].slice(old), ...more[key]];
  }

  async change(id, method) {
    $("watch-fault").textContent = "";
    $(id).disabled = true;
    try {
      await ask("/api/watch", { method });
      await this.follow();
    } catch (error) {
      $("watch-fault").textContent = error.message;
    } finally {
      $(id).disabled = false;
    }
  }

  take(told) {
    this.told = told;
    this.list(told);
    alerts($("alerts"), told.events.slice(0, SHOWN));
    this.view.take(told, this.about !== null && this.about === this.subject(told) ? this.series : null);
  }

  list({ watch, now, streams, going_on: goingOn }) {
    const names = Object.entries(streams).map(([name, count]) => `${name} (${count})`).join(", ");
    say("streams-said", `${names}${goingOn ? `; ${goingOn} going on` : ""}`);
    $("streams-how").hidden = watch.file !== null;
    $("watch").hidden = watch.file === null;
    say("watch-said", `${WATCH[watch.state]}${watch.ours || watch.state === "none" ? "" : "; started elsewhere"}`);
    say("watch-message", watch.fault ?? watch.message ?? "");
    $("watch-start").hidden = watch.ours || watch.state !== "none";
    $("watch-stop").hidden = !watch.ours;
    const before = new Map([...$("stream-list").children].map((item) => [item.dataset.name, item]));
    arrange($("stream-list"), now.map((stream) => filled(before.get(stream.name) ?? this.item(stream.name), stream, this.view.name)));
    $("stream-new").hidden = watch.file === null;
  }

  item(name) {
    const parts = ["name", "state", "said"].map((kind) => make("span", { className: kind }));
    const item = make("li", {}, make("button", { type: "button", onclick: () => this.show(name) }, ...parts));
    item.dataset.name = name;
    return item;
  }

  // null: a form for a new one
  show(name) {
    this.opened();
    this.view.open(name);
    history.replaceState(null, "", name === null ? location.pathname : `#stream/${encodeURIComponent(name)}`);
    if (this.told) this.take(this.told);
    this.follow();
  }

  close() {
    if ($("stream").hidden) return;
    this.view.close();
    $("empty").hidden = false;
    history.replaceState(null, "", location.pathname);
    if (this.told) this.list(this.told);
  }

  // the stream that the address names, if it is there
  linked() {
    const [kind, name] = location.hash.slice(1).split("/");
    if (kind !== "stream" || !name) return;
    try {
      this.show(decodeURIComponent(name));
    } catch (error) {
      if (!(error instanceof URIError)) throw error;  // an address that was cut off
    }
  }
}

function filled(item, stream, shown) {
  const [name, state, said] = item.querySelectorAll("span"), { score } = stream;
  name.textContent = stream.name;
  state.textContent = stream.state === "running" && score !== null ? score.toFixed(2) : stream.state;
  said.textContent = stream.words.join(", ");
  item.firstChild.setAttribute("aria-current", String(stream.name === shown));
  return item;
}
