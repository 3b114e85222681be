// The score over time: drawn as it grows, asked for a moment by mouse, touch and keys.

// the colours of lavida's overlays and timelines
export const PALETTE = ["#d55e00", "#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#0072b2", "#882255", "#f0e442"];
export const colour = (index) => PALETTE[index % PALETTE.length];
const MARGIN = { left: 34, right: 10, top: 8, bottom: 20 };
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

const seconds = (time, step) => (step >= 60 ? `${Math.round(time / 60)} min` : `${+time.toFixed(1)} s`);

export class Curve {
  // chosen: called with the place of a sample among times; label: of a time on the axis; gap: seconds without a line
  constructor(canvas, { chosen, said, label = seconds }) {
    Object.assign(this, { canvas, said, chosen, label, gap: Infinity });
    this.clear();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.times.length) return;
      canvas.focus({ preventScroll: true });
      this.choose(this.nearest(this.timeAt(event.offsetX)));
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  clear() {
    Object.assign(this, { times: [], scores: [], rows: [], names: [], events: [], others: [] });
    Object.assign(this, { threshold: 0.5, begin: 0, length: 0, now: null, place: 0 });
  }

  nearest(time) {
    let low = 0, high = this.times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time) low = middle + 1; else high = middle;
    }
    return low > 0 && time - this.times[low - 1] < this.times[low] - time ? low - 1 : low;
  }

  choose(place) {
    this.place = Math.max(0, Math.min(place, this.times.length - 1));
    this.chosen(this.place);
  }

  key(event) {
    const last = this.times.length - 1;
    if (last < 0) return;
    const now = this.times[this.place];
    const after = this.events.find((each) => each.peak_s > now + 1e-6);
    const before = this.events.findLast((each) => each.peak_s < now - 1e-6);
    const moves = {
      ArrowRight: () => this.place + 1, ArrowUp: () => this.place + 1,
      ArrowLeft: () => this.place - 1, ArrowDown: () => this.place - 1,
      Home: () => 0, End: () => last,
      PageDown: () => (after ? this.nearest(after.peak_s) : last),
      PageUp: () => (before ? this.nearest(before.peak_s) : 0),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    this.choose(moves[event.key]());
  }

  get end() { return Math.max(this.length, this.times.at(-1) ?? 0, 0.001); }
  get share() { return (this.width - MARGIN.left - MARGIN.right) / (this.end - this.begin); }
  x(time) { return MARGIN.left + (time - this.begin) * this.share; }
  y(score) { return this.height - MARGIN.bottom - score * (this.height - MARGIN.top - MARGIN.bottom); }
  timeAt(x) { return this.begin + (x - MARGIN.left) / this.share; }

  // quiet: without a word for those who hear it
  draw({ quiet = false } = {}) {
    const { canvas } = this, ratio = devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    if (!this.width) return;
    canvas.width = Math.round(this.width * ratio);
    canvas.height = Math.round(this.height * ratio);
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    pen.scale(ratio, ratio);
    this.axes(pen, (name) => style.getPropertyValue(name).trim());
    for (const other of this.others) this.line(pen, other.times, other.scores, style.getPropertyValue("--quiet").trim(), 1.5, [5, 4]);
    const count = this.rows[0]?.length ?? 0;
    pen.globalAlpha = count > 1 ? 0.3 : 1;  // of several words the highest lies on it
    this.line(pen, this.times, this.scores, count > 1 ? style.color : colour(0), count > 1 ? 5 : 2);
    pen.globalAlpha = 1;
    for (let k = count - 1; k >= 0 && count > 1; k--) this.line(pen, this.times, this.rows.map((row) => row[k]), colour(k), 1.8);
    canvas.dataset.points = this.times.length;
    if (!quiet) this.speak();
  }

  axes(pen, variable) {
    const bottom = this.y(0);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.fillStyle = variable("--shade");
    for (const event of this.events) {
      const left = this.x(event.start_s);
      pen.fillRect(left, MARGIN.top, Math.max(2, this.x(event.end_s) - left), bottom - MARGIN.top);
    }
    pen.strokeStyle = variable("--grid");
    pen.fillStyle = variable("--quiet");
    pen.textAlign = "right";
    for (const level of [0, 0.5, 1]) {
      this.stroke(pen, MARGIN.left, this.y(level), this.width - MARGIN.right, this.y(level));
      pen.fillText(level.toFixed(1), MARGIN.left - 6, this.y(level));
    }
    const most = Math.max(2, this.width / 75);
    const length = this.end - this.begin, step = STEPS.find((each) => length / each <= most) ?? length / 4;
    pen.textAlign = "center";
    for (let time = Math.ceil(this.begin / step) * step; time <= this.end + 1e-9; time += step) {
      const label = this.label(time, step), x = Math.max(this.x(time), MARGIN.left);
      if (x + pen.measureText(label).width / 2 <= this.width) pen.fillText(label, x, bottom + 11);
    }
    pen.strokeStyle = variable("--focus");
    pen.setLineDash([2, 3]);
    this.stroke(pen, MARGIN.left, this.y(this.threshold), this.width - MARGIN.right, this.y(this.threshold));
    pen.setLineDash([]);
    if (this.now !== null) {
      pen.strokeStyle = variable("--ink");
      this.stroke(pen, this.x(this.now), MARGIN.top, this.x(this.now), bottom);
    }
  }

  stroke(pen, ...[x0, y0, x1, y1]) {
    pen.beginPath();
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
    pen.stroke();
  }

  line(pen, times, values, colour, width, dashes = []) {
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(dashes);
    pen.lineJoin = "round";
    pen.beginPath();
    let column = -1, high = 0, low = 1, before = null;  // of more samples than pixels the highest and the lowest are drawn
    times.forEach((time, i) => {
      const x = this.x(time), here = Math.round(x);
      if (values[i] === null || time < this.begin) return;  // a word that was not asked for then
      if (before !== null && time - before > this.gap) pen.moveTo(x, this.y(values[i]));
      before = time;
      if (here !== column) [column, high, low] = [here, values[i], values[i]];
      else if (values[i] <= high && values[i] >= low) return;
      [high, low] = [Math.max(high, values[i]), Math.min(low, values[i])];
      pen.lineTo(x, this.y(values[i]));
    });
    pen.stroke();
    pen.setLineDash([]);
    pen.lineWidth = 1;
    if (times.length === 1) pen.fillRect(this.x(times[0]) - 2, this.y(values[0]) - 2, 4, 4);
  }

  // for those who hear it: the moment, and the score there
  speak() {
    const { canvas } = this, time = this.now ?? this.times[this.place] ?? 0;
    canvas.setAttribute("aria-valuemin", this.begin.toFixed(2));
    canvas.setAttribute("aria-valuemax", this.end.toFixed(2));
    canvas.setAttribute("aria-valuenow", time.toFixed(2));
    canvas.setAttribute("aria-valuetext", this.times.length ? this.said(this.nearest(time)) : "no score yet");
  }
}
