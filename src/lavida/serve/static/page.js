// The page: what is asked for, which job is shown, and how far it is.

import { arrange, ask, clock, make, onSignIn, upload, words } from "./api.js";
import { Curve, colour } from "./curve.js";
import { Found } from "./found.js";
import { Stage } from "./stage.js";
import { key } from "./stream.js";
import { Streams } from "./streams.js";

const LOOK_MS = 400, FIRST_MS = 100, LIST_MS = 1500, FOUND_MS = 2000;
const $ = (id) => document.getElementById(id);
const STATES = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };

let jobs = [], shown = null, chosenFile = null, next = 0, frames = [], askedVideo = false, told = null, asked = -Infinity, refreshed = 0, listed = 0, news = false;

const curve = new Curve($("curve"), {
  chosen: (place) => stage.jump(frames[place], curve.times[place]),
  said: (place) => `${curve.times[place].toFixed(2)} seconds, score ${curve.scores[place].toFixed(2)}`,
});
const stage = new Stage({
  video: $("video"), still: $("still"), canvas: $("masks"),
  shown: (time) => {
    curve.now = time;
    curve.place = curve.times.length ? curve.nearest(time) : 0;
    const score = curve.times.length ? `, score ${curve.scores[curve.place].toFixed(2)}` : "";
    $("moment").textContent = `${clock(time)}${score}`;
    curve.draw();
    found.mark(time);
  },
});
const found = new Found({
  jump: (frame, time) => stage.jump(frame, time),
  now: () => stage.time,
  told: (events, end) => {
    curve.events = events;
    if (end) curve.length = end;
    curve.draw();
  },
});
const streams = new Streams({ opened: () => { leave(); if (isNarrow()) $("job").scrollIntoView(); } });

// signing in, where the server asks for a token

let signingIn = null;
onSignIn(() => (signingIn ??= new Promise((resolve) => {
  $("sign-in").showModal();
  $("sign-in-form").onsubmit = async (event) => {
    event.preventDefault();
    try {
      await ask("/api/session", { method: "POST", json: { token: $("token").value } });
      signingIn = null;
      $("sign-in").close();
      resolve();
    } catch (error) {
      $("sign-in-fault").textContent = error.message;
    }
  };
})));
$("sign-in").addEventListener("cancel", (event) => event.preventDefault());
$("sign-in").addEventListener("close", () => { if (signingIn) $("sign-in").showModal(); });  // the second Escape cannot be prevented

// a new job

function choose(file) {
  chosenFile = file ?? null;
  const size = !file ? "" : file.size < 2 ** 20 ? `${Math.ceil(file.size / 2 ** 10)} kB` : `${(file.size / 2 ** 20).toFixed(1)} MB`;
  $("chosen").textContent = size;
  if (file) $("source").value = "";
}

$("file").addEventListener("change", () => choose($("file").files[0]));
$("source").addEventListener("change", () => { if ($("source").value) { $("file").value = ""; choose(null); } });
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) {
      const one = new DataTransfer();
      one.items.add(event.dataTransfer.files[0]);
      $("file").files = one.files;  // its name stands there, as when it is chosen
      choose(one.files[0]);
      if (event.dataTransfer.files.length > 1) $("chosen").textContent += "; one at a time: the first one is taken";
      $("words").focus();
    }
  });
}

$("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("new").requestSubmit();
});

$("new").addEventListener("submit", (event) => {
  event.preventDefault();
  const source = $("source").value, anomalies = words($("words").value);
  attempt($("new-fault"), event.submitter, async () => {
    if (!anomalies.length) throw new Error("Say in words what counts as abnormal.");
    if (!chosenFile && !source) throw new Error("Choose a video first.");
    if (source) return begun(await ask("/api/jobs", { method: "POST", json: { source, anomalies } }));
    const form = new FormData();
    for (const word of anomalies) form.append("anomalies", word);
    form.append("file", chosenFile);
    $("sent").hidden = false;
    try {
      await ask("/api/jobs");  // asks for a token before much is sent
      await begun(await upload(form, (share) => { $("sent").value = share; }));
    } finally {
      $("sent").hidden = true;
    }
  });
});

$("again").addEventListener("submit", (event) => {
  event.preventDefault();
  const anomalies = words($("again-words").value);
  attempt($("again-fault"), event.submitter, async () => {
    if (!anomalies.length) throw new Error("Say in words what counts as abnormal.");
    await begun(await ask("/api/jobs", { method: "POST", json: { same_as: shown.id, anomalies } }));
    $("again-words").value = "";
  });
});

async function attempt(place, button, what) {
  place.textContent = "";
  if (button) button.disabled = true;
  try {
    await what();
  } catch (error) {
    place.textContent = error.message;
  } finally {
    if (button) button.disabled = false;
  }
}

async function begun(job) {
  await list();
  show(job);
  if (isNarrow()) $("job").scrollIntoView();
}

const isNarrow = () => matchMedia("(max-width: 760px)").matches;

// the list of jobs

async function list() {
  const turn = ++listed, got = (await ask("/api/jobs")).jobs;
  if (turn !== listed) return;  // asked again meanwhile
  jobs = got;
  $("no-jobs").hidden = jobs.length > 0;
  const before = new Map([...$("jobs").children].map((item) => [item.dataset.id, item]));
  arrange($("jobs"), jobs.map((job) => filled(before.get(job.id) ?? entry(job), job)));
  if (shown && !jobs.some((job) => job.id === shown.id)) return gone();  // removed elsewhere
  siblings();
}

function entry(job) {
  const parts = ["name", "state", "said"].map((kind) => make("span", { className: kind }));
  const button = make("button", { type: "button", onclick: () => show(jobs.find((each) => each.id === job.id)) }, ...parts);
  const item = make("li", {}, button);
  item.dataset.id = job.id;
  return item;
}

function filled(item, job) {
  const [name, state, said] = item.querySelectorAll("span"), button = item.firstChild;
  name.textContent = job.name;
  state.textContent = job.state === "running" && job.progress ? `${Math.round(job.progress * 100)} %` : STATES[job.state];
  said.textContent = job.anomalies.join(", ");
  button.setAttribute("aria-current", String(job.id === shown?.id));
  return item;
}

// the job that is shown

function show(job) {
  streams.close();
  shown = job;
  [next, frames, askedVideo, told, asked, refreshed, news] = [0, [], false, null, -Infinity, 0, false];
  history.replaceState(null, "", `#${job.id}`);
  $("empty").hidden = true;
  $("shown").hidden = false;
  $("job-title").textContent = job.name;
  $("job-words").textContent = job.anomalies.join(", ");
  $("moment").textContent = "";
  curve.clear();
  threshold(job.threshold);
  $("legend").replaceChildren(...(job.anomalies.length > 1 ? job.anomalies.map((name, i) => key(name, colour(i))) : []));
  stage.open(job);
  stage.frames = frames;
  found.open(job);
  siblings();
  for (const item of $("jobs").children) item.firstChild.setAttribute("aria-current", String(item.dataset.id === job.id));
  curve.draw();
  look();
}

let looking = null;

// asks for what is new of the job that is shown, until it has ended
async function look() {
  clearTimeout(looking);
  const job = shown, mine = frames, after = next;
  if (!job) return;
  try {
    const now = await ask(`/api/jobs/${job.id}`);  // before the scores: once it has ended, they are all there
    const got = await ask(`/api/jobs/${job.id}/scores?after=${after}`);
    if (mine !== frames || after !== next) return;  // another one is shown, or what is new has come already
    if (now.state === "running" && now.frames === 0 && frames.length) return show(now);  // begun again
    next = got.next;
    for (const [mine, theirs] of [[frames, got.frames], [curve.times, got.times], [curve.scores, got.scores],
      [curve.rows, got.category_scores]]) for (const each of theirs) mine.push(each);
    stage.times = curve.times;
    news ||= got.frames.length > 0;
    if (news && now.state !== "done") grown(now);
    tell(now, told !== now.state);
    told = now.state;
    if (got.frames.length && !stage.wanted) stage.jump(frames[0], curve.times[0]);
    curve.draw();
    const ended = !["queued", "running"].includes(now.state);
    if (!ended || now.video === "made") looking = setTimeout(look, frames.length ? LOOK_MS : FIRST_MS);
  } catch (error) {
    if (mine !== frames) return;
    if (error.status === 404) return gone();
    looking = setTimeout(look, 4 * LOOK_MS);
  }
}

// events and masks so far; cutting them takes longer for long videos, and what is asked is not asked again meanwhile
function grown(job) {
  const goesOn = ["queued", "running"].includes(job.state);
  if (goesOn && performance.now() - asked < Math.max(FOUND_MS, 5 * found.took)) return;  // asked for with the next look
  asked = performance.now();
  news = false;
  found.load(job);
  stage.grown(refreshed);
  refreshed = curve.times.at(-1);
}

function tell(job, changed) {
  shown = stage.job = job;
  const { state, progress } = job;
  curve.length = Math.max(curve.length, state === "done" ? 0 : (job.expected_frames ?? 0) / job.fps);
  const said = {
    queued: job.ahead ? `Waiting; ${job.ahead} before it` : "Waiting for the model",
    running: progress === null ? `Running; ${job.frames} frames` : `Running; ${Math.round(progress * 100)} %`,
    done: "", failed: `Failed: ${job.message}`, cancelled: "Cancelled",
  }[state];
  if ($("job-state").textContent !== said) $("job-state").textContent = said;
  $("job-progress").hidden = !["queued", "running"].includes(state);
  if (progress === null && state === "running") $("job-progress").removeAttribute("value");
  else $("job-progress").value = progress ?? 0;  // a moving bar would take from the work that it waits for
  $("cancel").hidden = !["queued", "running"].includes(state);
  stage.play(job);
  const ended = !["queued", "running"].includes(state);
  if (job.video === "wanted" && (ended || curve.times.length) && !askedVideo) {
    askedVideo = true;  // the copy is made beside the job, once it is under way; single frames are shown
    job.video = "made";
    fetch(`/api/jobs/${job.id}/video`, { headers: { Range: "bytes=0-0" } }).catch(() => {});
    if (ended) looking = setTimeout(look, LOOK_MS);
  }
  $("stage-note").textContent = { ready: "", failed: "Your browser cannot play this video; single frames are shown.",
    made: "A copy that your browser plays is being made; single frames until then.",
    wanted: "Your browser cannot play this video; single frames are shown." }[job.video];
  if (changed && state === "done") {
    found.load(job);
    stage.grown(0);
  }
  if (changed) list().catch(() => {});
}

function gone() {
  leave();
  $("empty").hidden = false;
  history.replaceState(null, "", location.pathname);
}

// something else is shown
function leave() {
  shown = null;
  frames = [];
  stage.close();
  $("shown").hidden = true;
  $("empty").hidden = true;
  list().catch(() => {});
}

$("cancel").addEventListener("click", () => attempt($("again-fault"), $("cancel"), async () => {
  await ask(`/api/jobs/${shown.id}/cancel`, { method: "POST" });
  await look();
}));
$("remove").addEventListener("click", () => attempt($("again-fault"), $("remove"), async () => {
  if (!confirm(`Remove ${shown.name} with all that was found in it?`)) return;
  await ask(`/api/jobs/${shown.id}`, { method: "DELETE" });
  gone();
}));

// threshold, masks, other words

function threshold(value) {
  $("threshold").value = value;
  $("threshold-value").textContent = Number(value).toFixed(2);
  curve.threshold = stage.threshold = found.threshold = Number(value);
}

$("threshold").addEventListener("input", () => {
  threshold($("threshold").value);
  curve.draw();
  stage.draw();
  if (curve.times.length) found.load();
});
$("show-masks").addEventListener("change", () => { stage.masksOn = $("show-masks").checked; stage.draw(); });

function siblings() {
  const others = shown ? jobs.filter((job) => job.video_id === shown.video_id && job.id !== shown.id && job.frames) : [];
  const place = $("siblings"), now = others.map((job) => job.id).join();
  if (place.dataset.jobs === `${shown?.id}:${now}`) return;
  place.dataset.jobs = `${shown?.id}:${now}`;
  place.hidden = !others.length;
  curve.others = [];
  place.replaceChildren(place.firstElementChild, ...others.map((job) => {
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => attempt($("again-fault"), null, async () => {
      const got = box.checked ? await ask(`/api/jobs/${job.id}/scores`) : null;
      curve.others = curve.others.filter((other) => other.id !== job.id);
      if (got && box.checked && box.isConnected) curve.others.push({ id: job.id, ...got });
      curve.draw();
    }));
    return make("label", { className: "check" }, box, job.anomalies.join(", "));
  }));
}

// the start

async function health() {
  try {
    const now = await ask("/api/health");
    $("health").textContent = { starting: "The model is being loaded …", ready: "Ready", down: "The model cannot be loaded; see the server’s log" }[now.worker];
    setTimeout(health, now.worker === "ready" ? 15000 : 1000);
  } catch {
    $("health").textContent = "The server does not answer";
    setTimeout(health, 3000);
  }
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) found.refresh(); });
document.querySelector(".skip").addEventListener("click", (event) => {  // the address still names what is shown
  event.preventDefault();
  $("job").focus();
});

// what the address names
function linked() {
  const job = jobs.find((each) => each.id === location.hash.slice(1));
  if (job) show(job); else streams.linked();
  if (job && isNarrow()) $("job").scrollIntoView();
}

// asks until there is an answer, however long that takes
async function answered(question) {
  let told = "";
  for (;;) {
    try {
      const answer = await question();
      if ($("new-fault").textContent === told) $("new-fault").textContent = "";  // else a job was refused meanwhile
      return answer;
    } catch (error) {
      if (["", told].includes($("new-fault").textContent)) told = $("new-fault").textContent = error.message;
      await new Promise((resolve) => setTimeout(resolve, LIST_MS));
    }
  }
}

// a large folder takes long: nothing else waits for it
async function offer() {
  const folder = await answered(() => ask("/api/folder"));
  $("folder").hidden = !folder.open;
  $("source").append(...folder.videos.map((video) => make("option", { value: video.path, textContent: video.path })));
}

async function begin() {
  health();
  offer();
  await answered(list);
  linked();
  addEventListener("hashchange", linked);
  const again = () => list().catch(() => {}).finally(() => setTimeout(again, LIST_MS));
  setTimeout(again, LIST_MS);
}

begin();
