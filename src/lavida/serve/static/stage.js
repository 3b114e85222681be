// The video with masks over it; single frames where browsers cannot play it (yet).

import { ask } from "./api.js";
import { colour } from "./curve.js";

const WINDOW_S = 5;  // masks are fetched for so much of the video at once
export const FLOOR = 0.2;  // lavida keeps masks from this score on
const INSIDE_S = 0.002;  // a seek to the very edge of a frame may show the one before it

export class Stage {
  // shown: called with the time that is shown
  constructor({ video, still, canvas, shown }) {
    Object.assign(this, { video, still, canvas, shown });
    this.masksOn = true;
    this.threshold = 0.5;
    this.close();
    for (const event of ["seeked", "loadeddata", "pause", "timeupdate"]) video.addEventListener(event, () => this.tell());
    video.addEventListener("play", () => this.follow());
    still.addEventListener("load", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(video.parentElement);
  }

  open(job) {
    this.close();
    this.job = job;
    this.play(job);
  }

  close() {
    this.job = null;
    this.frames = [];  // analysed ones, and their times
    this.times = [];
    this.windows = new Map();
    this.stale = new Set();
    this.time = 0;
    this.wanted = null;
    this.video.removeAttribute("src");
    this.video.load();
    this.video.hidden = this.still.hidden = true;
    this.erase();
  }

  // take the video once there is one that this browser plays
  play(job) {
    if (job.video !== "ready" || this.video.hasAttribute("src")) return;
    this.video.hidden = false;
    this.still.hidden = true;
    this.video.src = `/api/jobs/${job.id}/video`;
    if (this.wanted) this.jump(...this.wanted);
  }

  jump(frame, time) {
    this.wanted = [frame, time];
    this.time = time;
    if (!this.video.hidden) {
      this.video.pause();
      this.video.currentTime = time + Math.min(INSIDE_S, 0.4 / this.job.fps);
    } else {
      this.still.hidden = false;
      this.still.alt = `Frame ${frame}`;
      this.still.src = `/api/jobs/${this.job.id}/frame?frame=${frame}&width=1280`;
    }
    this.shown(time);
  }

  follow() {
    const step = () => {
      this.tell();
      if (this.video.paused || this.video.ended) return;
      if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(step);
      else requestAnimationFrame(step);
    };
    step();
  }

  tell() {
    if (!this.job || this.video.hidden) return;
    this.time = this.video.currentTime;
    this.shown(this.time);
    this.draw();
  }

  // the analysed frame whose masks stand at a time: the last one up to it
  place(time) {
    let low = 0, high = this.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= time + 1e-4) low = middle + 1; else high = middle;
    }
    return Math.max(0, low - 1);
  }

  // more has been scored: what was asked for while it was not there is asked for again
  grown(from) {
    for (const key of this.windows.keys()) if ((key + 1) * WINDOW_S > from) this.stale.add(key);
    this.draw();
  }

  masksAt(place) {
    const key = Math.floor(this.times[place] / WINDOW_S), { job } = this;
    if (!this.windows.has(key) || this.stale.delete(key)) {
      if (!this.windows.has(key)) this.windows.set(key, []);
      const stretch = `from_s=${key * WINDOW_S}&to_s=${(key + 1) * WINDOW_S}&threshold=${FLOOR}`;
      ask(`/api/jobs/${job.id}/masks?${stretch}`).then((got) => {
        if (this.job?.id !== job.id) return;
        this.windows.set(key, got.masks);
        this.draw();
      }).catch(() => {});
    }
    const over = (mask) => mask.score >= this.threshold && mask.frame_score >= this.threshold;
    return this.windows.get(key).filter((mask) => mask.frame === this.frames[place] && over(mask));
  }

  erase() { this.canvas.width = this.canvas.height = 0; }

  draw() {
    const shown = this.video.hidden ? this.still : this.video;
    if (shown.hidden || !this.job || !this.times.length || !this.masksOn) return this.erase();
    const box = shown.getBoundingClientRect(), around = this.canvas.parentElement.getBoundingClientRect();
    const { width, height } = this.job, scale = Math.min(box.width / width, box.height / height);
    const ratio = devicePixelRatio || 1, style = this.canvas.style;
    this.canvas.width = Math.round(width * scale * ratio);
    this.canvas.height = Math.round(height * scale * ratio);
    style.width = `${width * scale}px`;
    style.height = `${height * scale}px`;
    style.left = `${box.left - around.left + (box.width - width * scale) / 2}px`;
    style.top = `${box.top - around.top + (box.height - height * scale) / 2}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale * ratio, scale * ratio);
    pen.lineWidth = 2 / scale;
    const masks = this.masksAt(this.place(this.time));
    this.canvas.dataset.masks = masks.length;
    for (const mask of masks) {
      pen.fillStyle = pen.strokeStyle = colour(this.job.anomalies.indexOf(mask.category));
      const path = new Path2D();
      for (const ring of mask.rings) {
        path.moveTo(ring[0] + 0.5, ring[1] + 0.5);
        for (let i = 2; i < ring.length; i += 2) path.lineTo(ring[i] + 0.5, ring[i + 1] + 0.5);
        path.closePath();
      }
      pen.globalAlpha = 0.4;
      pen.fill(path, "evenodd");
      pen.globalAlpha = 1;
      pen.stroke(path);
    }
  }
}
