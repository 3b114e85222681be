// Regions of a stream: drawn on its picture by clicks, written as text; the text is what counts.

const SVG = "http://www.w3.org/2000/svg";

// polygons of x, y from 0 to 1, one a line: "0,0.5 1,0.5 1,1"
export function polygons(text) {
  return text.split("\n").filter((line) => line.trim()).map((line, i) => {
    const corners = line.trim().split(/\s+/).map((corner) => corner.split(",").map(Number));
    const fits = corners.length >= 3 && corners.every((corner) => corner.length === 2 && corner.every((each) => each >= 0 && each <= 1));
    if (!fits) throw new Error(`Line ${i + 1}: give three or more corners as x,y from 0 to 1, for example 0,0.5 1,0.5 1,1`);
    return corners;
  });
}

export const written = (regions) => regions.map((polygon) => polygon.map((corner) => corner.map((each) => +each.toFixed(4)).join(",")).join(" ")).join("\n");

export class Regions {
  // svg over the picture; drawn: called with the corners of a new polygon
  constructor(svg, { drawn, ended }) {
    Object.assign(this, { svg, drawn, ended, corners: null, shown: "" });
    svg.addEventListener("click", (event) => {
      if (!this.corners) return;
      const box = svg.getBoundingClientRect();
      const share = (at, size) => +Math.min(1, Math.max(0, at / size)).toFixed(4);
      this.corners.push([share(event.clientX - box.left, box.width), share(event.clientY - box.top, box.height)]);
      this.draw();
    });
    document.addEventListener("keydown", (event) => {
      const act = this.corners && { Enter: () => this.finish(), Escape: () => this.stop(), Backspace: () => this.back() }[event.key];
      if (!act || event.target.matches("input, textarea, button")) return;
      event.preventDefault();
      act();
    });
  }

  start() {
    this.corners = [];
    this.svg.classList.add("drawing");
    this.draw();
  }

  back() {
    this.corners.pop();
    this.draw();
  }

  finish() {
    const corners = this.corners;
    if (corners.length >= 3) this.drawn(corners);
    this.stop();
  }

  stop() {
    if (!this.corners) return;
    this.corners = null;
    this.svg.classList.remove("drawing");
    this.draw();
    this.ended();
  }

  show(only, ignore) {
    const now = JSON.stringify([only, ignore]);
    if (now === this.shown) return;
    this.shown = now;
    this.draw();
  }

  draw() {
    const [only, ignore] = this.shown ? JSON.parse(this.shown) : [[], []];
    const shape = (kind, tag, attributes) => {
      const node = document.createElementNS(SVG, tag);
      node.setAttribute("class", kind);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      return node;
    };
    const points = (polygon) => polygon.map((corner) => corner.join(",")).join(" ");
    this.svg.replaceChildren(
      ...only.map((polygon) => shape("only", "polygon", { points: points(polygon) })),
      ...ignore.map((polygon) => shape("ignore", "polygon", { points: points(polygon) })),
      ...(this.corners ? [shape("pending", this.corners.length > 2 ? "polygon" : "polyline", { points: points(this.corners) })] : []),
      // a line of no length with round ends is a dot, whatever the shape of the picture
      ...(this.corners ?? []).map(([x, y]) => shape("corner", "path", { d: `M${x} ${y}h0` })),
    );
    this.svg.dataset.polygons = only.length + ignore.length;
    this.svg.dataset.corners = this.corners?.length ?? "";
  }
}
