// Asks the server; what it refuses becomes an Error with its one line.

let signIn = async () => {};

export function onSignIn(ask) { signIn = ask; }

export async function ask(path, { method = "GET", json, signal } = {}) {
  for (;;) {
    const sent = json === undefined ? {} : { body: JSON.stringify(json), headers: { "Content-Type": "application/json" } };
    const answer = await fetch(path, { method, signal, ...sent });
    if (answer.status === 401 && path !== "/api/session") {
      await signIn();
      continue;
    }
    if (answer.status === 204) return null;
    const said = await answer.json().catch(() => ({ message: `the server answers ${answer.status}` }));
    if (!answer.ok) throw Object.assign(new Error(said.message), { status: answer.status });
    return said;
  }
}

// fetch cannot tell how much of an upload has been sent
export function upload(form, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/jobs");
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Error(request.response?.message ?? `the server answers ${request.status}`));
    };
    request.onerror = () => reject(new Error("the server cannot be reached, or takes no file of this size"));
    request.send(form);
  });
}

export const words = (text) => [...new Set(text.split(/[,\n]/).map((word) => word.trim()).filter(Boolean))];

export function clock(seconds) {
  const whole = Math.floor(seconds / 60);
  const rest = (seconds - whole * 60).toFixed(2).padStart(whole ? 5 : 1, "0");
  return whole >= 60 ? `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}:${rest}` : `${whole}:${rest.padStart(5, "0")}`;
}

export function make(tag, fields = {}, ...children) {
  const node = Object.assign(document.createElement(tag), fields);
  node.append(...children);
  return node;
}

// has a list show these items; those that stay are not touched, for they may be clicked on or have the focus
export function arrange(list, items) {
  const kept = new Set(items);
  for (const item of [...list.children]) if (!kept.has(item)) item.remove();
  items.forEach((item, i) => { if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null); });
}

// a text that is read aloud only when it has changed
export function say(id, text) {
  const place = document.getElementById(id);
  if (place.textContent !== text) place.textContent = text;
}
