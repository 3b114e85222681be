// What was found: events at the threshold, what people say of them, and what can be taken home.

import { ask, clock, make } from "./api.js";
import { FLOOR } from "./stage.js";

const WAIT_MS = 40, MUCH_THE_SAME = 0.5;
const $ = (id) => document.getElementById(id);
const FILES = { "overlay.mp4": "overlay.mp4", "events.json": "files/events.json", "masks.json": "files/masks.json",
  "frames.parquet": "files/frames.parquet", "timeline.png": "files/timeline.png", "run.json": "files/run.json", "COCO": "export/coco", "CVAT": "export/cvat", "Label Studio": "export/label-studio",
  "CSV": "export/csv", "WebVTT": "export/vtt" };

export class Found {
  constructor({ jump, now, told }) {
    Object.assign(this, { jump, now, told, threshold: 0.5, took: 0, events: [], labels: [] });
    $("missed").addEventListener("submit", (event) => { event.preventDefault(); this.addMissed(); });
    $("missed-here").addEventListener("click", () => {
      $("missed-from").value = Math.max(0, this.now() - 0.5).toFixed(2);
      $("missed-to").value = (this.now() + 0.5).toFixed(2);
    });
  }

  open(job) {
    this.job = job;
    this.events = [];
    this.labels = [];
    this.labelled = null;
    $("found").hidden = true;
    $("count").textContent = "";
    $("label-fault").textContent = "";
    $("events").replaceChildren();
    $("missed-what").replaceChildren(...job.anomalies.map((word) => make("option", { textContent: word })));
  }

  // the events at the threshold of now; while the slider moves only the latest answer counts
  load(job = this.job) {
    this.job = job;
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.fetch().catch((error) => {
      if (error.name !== "AbortError" && error.status !== 409) $("label-fault").textContent = error.message;
    }), WAIT_MS);
  }

  async fetch() {
    this.running?.abort();
    this.running = new AbortController();
    const { job, threshold } = this, { signal } = this.running;
    const begun = performance.now();
    const got = await ask(`/api/jobs/${job.id}/events?threshold=${threshold}`, { signal });
    this.took = performance.now() - begun;
    $("found").dataset.complete = got.complete;
    if (got.complete && this.labelled !== job.id) {
      this.labels = (await ask(`/api/jobs/${job.id}/labels`, { signal })).labels;
      this.labelled = job.id;
    }
    if (job.id !== this.job.id) return;
    this.events = got.events;
    const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
    const low = threshold < FLOOR ? `; masks are kept from ${FLOOR} on` : "";
    $("count").textContent = `${many(got.events.length, "event")}, ${many(got.masks, "mask")}${low}`;
    this.told(got.events);
    this.draw();
  }

  draw() {
    $("found").hidden = false;
    $("no-events").hidden = this.events.length > 0;
    const before = new Map([...$("events").children].map((item) => [item.dataset.key, item]));
    $("events").replaceChildren(...this.events.map((event) => before.get(name(event)) ?? this.entry(event)));
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
    const item = make("li", {}, jump, make("span", { className: "what", textContent: event.category }),
      make("span", { className: "when", textContent: `${when}, ${event.peak_score.toFixed(2)}` }), verdicts);
    item.dataset.key = name(event);
    return item;
  }

  mark(time) {
    this.events.forEach((event, i) => {
      $("events").children[i]?.classList.toggle("now", event.start_s <= time && time < event.end_s);
    });
  }

  // the label of an event: of the same words, and much of the shorter of them at the same time
  labelOf(event) {
    const meant = this.labels.filter((label) => label.verdict !== "missed" && label.category === event.category
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
    const old = this.labelOf(event), { start_s, end_s, category, peak_score } = event;
    const others = this.labels.filter((label) => label !== old);
    const said = { start_s, end_s, category, verdict, threshold: this.threshold, peak_score };
    return this.keep(old?.verdict === verdict ? others : [...others, said]);  // pressed again: taken back
  }

  addMissed() {
    const start_s = $("missed-from").valueAsNumber, end_s = $("missed-to").valueAsNumber;
    return this.keep([...this.labels, { start_s, end_s, category: $("missed-what").value, verdict: "missed" }]);
  }

  async keep(labels) {
    try {
      this.labels = (await ask(`/api/jobs/${this.job.id}/labels`, { method: "PUT", json: { labels } })).labels;
      $("label-fault").textContent = "";
    } catch (error) {
      $("label-fault").textContent = error.message;
    }
    this.press();
    this.drawMissed();
    this.drawFiles();
  }

  drawMissed() {
    const missed = this.labels.filter((label) => label.verdict === "missed");
    $("missed-list").replaceChildren(...missed.map((label) => {
      const text = `missed: ${label.category}, ${clock(label.start_s)} to ${clock(label.end_s)}`;
      const remove = make("button", { type: "button", textContent: "Remove", onclick: () => this.keep(this.labels.filter((each) => each !== label)) });
      remove.setAttribute("aria-label", `Remove ${text}`);
      return make("li", {}, text, remove);
    }));
  }

  drawFiles() {
    const files = this.labels.length ? { ...FILES, "labels.json": "files/labels.json" } : FILES;
    $("downloads").replaceChildren(...Object.entries(files).map(([title, path]) => {
      const query = path.startsWith("export/") || ["overlay.mp4", "events.json", "masks.json", "timeline.png"].includes(title) ? `?threshold=${this.threshold}` : "";
      return make("li", {}, make("a", { href: `/api/jobs/${this.job.id}/${path}${query}`, textContent: title, download: "" }));
    }));
  }
}

const name = (event) => [event.start_s, event.end_s, event.category, event.peak_frame].join();

const shared = (one, other) => Math.min(one.end_s, other.end_s) - Math.max(one.start_s, other.start_s);

function overlap(one, other) {
  const whole = Math.max(one.end_s, other.end_s) - Math.min(one.start_s, other.start_s);
  return whole > 0 ? shared(one, other) / whole : 1;
}
