// What was found: events at the threshold, what people say of them, and what can be taken home.

import { arrange, ask, clock, make } from "./api.js";
import { FLOOR } from "./stage.js";

const WAIT_MS = 40, AGAIN_MS = 2000, MUCH_THE_SAME = 0.5;
const $ = (id) => document.getElementById(id);
const FILES = { "overlay.mp4": "overlay.mp4", "events.json": "files/events.json", "masks.json": "files/masks.json",
  "frames.parquet": "files/frames.parquet", "timeline.png": "files/timeline.png", "run.json": "files/run.json", "COCO": "export/coco", "CVAT": "export/cvat", "Label Studio": "export/label-studio",
  "CSV": "export/csv", "WebVTT": "export/vtt" };

export class Found {
  constructor({ jump, now, told }) {
    Object.assign(this, { jump, now, told, threshold: 0.5, took: 0, events: [], labels: [], end: Infinity, turn: Promise.resolve() });
    $("missed").addEventListener("submit", (event) => { event.preventDefault(); this.addMissed(); });
    $("missed-here").addEventListener("click", () => {
      $("missed-from").value = Math.max(0, this.now() - 0.5).toFixed(2);
      $("missed-to").value = Math.min(this.now() + 0.5, this.end).toFixed(2);
    });
  }

  open(job) {
    this.job = job;
    this.events = [];
    this.labels = [];
    this.labelled = null;
    this.end = Infinity;
    $("found").hidden = true;
    $("count").textContent = "";
    $("label-fault").textContent = "";
    $("events").replaceChildren();
    $("missed-list").replaceChildren();
    $("missed").reset();
    $("missed-what").replaceChildren(...job.anomalies.map((word) => make("option", { textContent: word })));
  }

  // the events at the threshold of now; while the slider moves only the latest answer counts
  load(job = this.job, wait = WAIT_MS) {
    this.job = job;
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.fetch().catch((error) => {
      if (error.name === "AbortError" || error.status === 409 || job !== this.job) return;
      $("count").textContent = error.message;
      if (!error.status || error.status >= 500) this.load(job, AGAIN_MS);  // a moment without a network or a database
    }), wait);
  }

  async fetch() {
    this.running?.abort();
    this.running = new AbortController();
    const { job, threshold } = this, { signal } = this.running;
    const begun = performance.now();
    const got = await ask(`/api/jobs/${job.id}/events?threshold=${threshold}`, { signal });
    this.took = performance.now() - begun;
    if (got.complete && this.labelled !== job.id) {
      await this.turn;  // what is being kept
      const { labels } = await ask(`/api/jobs/${job.id}/labels`, { signal });
      if (job.id !== this.job.id) return;
      this.labels = labels;
      this.labelled = job.id;
    }
    if (job.id !== this.job.id) return;
    $("found").dataset.complete = got.complete;  // verdicts can be given once those that are there are known
    this.end = got.end_s;
    for (const id of ["missed-from", "missed-to"]) $(id).max = Math.ceil(got.end_s);
    this.events = got.events;
    const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
    const low = threshold < FLOOR ? `; masks are kept from ${FLOOR} on` : "";
    $("count").textContent = `${many(got.events.length, "event")}, ${many(got.masks, "mask")}${low}`;
    this.told(got.events, got.complete ? got.end_s : null);
    this.draw();
  }

  draw() {
    $("found").hidden = false;
    $("no-events").hidden = this.events.length > 0;
    const before = new Map([...$("events").children].map((item) => [item.dataset.key, item]));
    const focused = document.activeElement, inside = focused.closest("#events li");
    const place = inside ? [...inside.querySelectorAll("button")].indexOf(focused) : -1;
    arrange($("events"), this.events.map((event) => before.get(name(event)) ?? this.entry(event)));
    if (inside && !inside.isConnected) {  // an event that has grown, or shrunk
      const { begin, peak } = inside.dataset;
      const same = [...$("events").children].find(({ dataset }) => dataset.begin === begin || dataset.peak === peak);
      same?.querySelectorAll("button")[place].focus({ preventScroll: true });
    }
    this.press();
    this.drawMissed();
    this.drawFiles();
    this.mark(this.now());
  }

  entry(event) {
    const source = `/api/jobs/${this.job.id}/frame?frame=${event.peak_frame}&width=240`;
    const when = `${clock(event.start_s)} to ${clock(event.end_s)}`;
    const label = `Go to ${event.category} at ${event.peak_s.toFixed(2)} seconds`;
    const jump = make("button", { type: "button", className: "jump", onclick: () => this.jump(event.peak_frame, event.peak_s) },
      make("img", { src: source, alt: "", loading: "lazy" }));
    jump.setAttribute("aria-label", label);
    const verdicts = make("div", { className: "verdicts" }, ...["true", "false"].map((verdict) => {
      const button = make("button", { type: "button", textContent: verdict === "true" ? "True" : "False",
        onclick: () => this.judge(event, verdict) });
      button.dataset.verdict = verdict;
      button.setAttribute("aria-label", `${event.category} at ${event.start_s.toFixed(2)} seconds is ${verdict}`);
      return button;
    }));
    const item = make("li", {}, jump, make("span", { className: "what", textContent: event.category, title: event.category }),
      make("span", { className: "when", textContent: `${when}, ${event.peak_score.toFixed(2)}` }), verdicts);
    item.dataset.key = name(event);
    item.dataset.begin = [event.start_s, event.category].join();
    item.dataset.peak = [event.peak_frame, event.category].join();
    return item;
  }

  mark(time) {
    this.events.forEach((event, i) => {
      $("events").children[i]?.classList.toggle("now", event.start_s <= time && time < event.end_s);
    });
  }

  // what has been said of them in another tab meanwhile
  refresh() {
    if (!this.job || this.labelled !== this.job.id) return;
    this.labelled = null;
    this.load();
  }

  // the label of an event: of the same words, and much of the shorter of them at the same time
  labelOf(event, labels = this.labels) {
    const meant = labels.filter((label) => label.verdict !== "missed" && label.category === event.category
      && shared(label, event) >= MUCH_THE_SAME * Math.min(label.end_s - label.start_s, event.end_s - event.start_s));
    return meant.sort((one, other) => overlap(other, event) - overlap(one, event))[0];
  }

  press() {
    this.events.forEach((event, i) => {
      const verdict = this.labelOf(event)?.verdict;
      for (const button of $("events").children[i].querySelectorAll(".verdicts button")) {
        button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
      }
    });
  }

  judge(event, verdict) {
    const { start_s, end_s, category, peak_score } = event;
    const said = { start_s, end_s, category, verdict, threshold: this.threshold, peak_score };
    const back = this.labelOf(event)?.verdict === verdict;  // pressed again: taken back
    return this.keep((labels) => {
      const old = this.labelOf(event, labels);
      return [...labels.filter((label) => label !== old), ...(back ? [] : [said])];
    });
  }

  addMissed() {
    const start_s = $("missed-from").valueAsNumber, end_s = $("missed-to").valueAsNumber;
    const said = { start_s, end_s, category: $("missed-what").value, verdict: "missed" };
    return this.keep((labels) => [...labels, said]);
  }

  // one change after the other, each of what the server has by then: quick clicks and other tabs lose nothing
  keep(change) {
    const { job } = this, path = `/api/jobs/${job.id}/labels`;
    this.turn = this.turn.then(async () => {
      let fault = "", kept = null;
      try {
        kept = (await ask(path, { method: "PUT", json: { labels: change((await ask(path)).labels) } })).labels;
      } catch (error) {
        fault = error.message;
      }
      if (job.id !== this.job.id) return;
      this.labels = kept ?? this.labels;
      $("label-fault").textContent = fault;
      this.press();
      this.drawMissed();
      this.drawFiles();
    });
    return this.turn;
  }

  drawMissed() {
    const missed = this.labels.filter((label) => label.verdict === "missed");
    const before = new Map([...$("missed-list").children].map((item) => [item.dataset.key, item]));
    const inside = document.activeElement.closest("#missed-list li");
    arrange($("missed-list"), missed.map((label) => before.get(JSON.stringify(label)) ?? this.missedOne(label)));
    if (inside && !inside.isConnected) $("missed-from").focus({ preventScroll: true });
  }

  missedOne(label) {
    const text = `missed: ${label.category}, ${clock(label.start_s)} to ${clock(label.end_s)}`, key = JSON.stringify(label);
    const others = (labels) => labels.filter((each) => JSON.stringify(each) !== key);
    const remove = make("button", { type: "button", textContent: "Remove", onclick: () => this.keep(others) });
    remove.setAttribute("aria-label", `Remove ${text}`);
    const item = make("li", {}, text, remove);
    item.dataset.key = key;
    return item;
  }

  drawFiles() {
    const files = this.labels.length ? { ...FILES, "labels.json": "files/labels.json" } : FILES;
    const before = new Map([...$("downloads").children].map((item) => [item.textContent, item]));
    arrange($("downloads"), Object.entries(files).map(([title, path]) => {
      const query = path.startsWith("export/") || ["overlay.mp4", "events.json", "masks.json", "timeline.png"].includes(title) ? `?threshold=${this.threshold}` : "";
      const item = before.get(title) ?? make("li", {}, make("a", { textContent: title, download: "" }));
      item.firstChild.href = `/api/jobs/${this.job.id}/${path}${query}`;
      return item;
    }));
  }
}

const name = (event) => [event.start_s, event.end_s, event.category, event.peak_frame].join();

const shared = (one, other) => Math.min(one.end_s, other.end_s) - Math.max(one.start_s, other.start_s);

function overlap(one, other) {
  const whole = Math.max(one.end_s, other.end_s) - Math.min(one.start_s, other.start_s);
  return whole > 0 ? shared(one, other) / whole : 1;
}
