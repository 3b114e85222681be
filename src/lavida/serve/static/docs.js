// The OpenAPI document, for people.

import { make } from "./api.js";

const kind = (schema) => schema?.type ?? (schema?.anyOf ?? []).map(kind).join(" or ") ?? "";

function limits(schema) {
  const named = { minimum: "from", exclusiveMinimum: "over", maximum: "to", exclusiveMaximum: "under", default: "default" };
  const of = Object.assign({}, ...(schema?.anyOf ?? []), schema);
  const said = Object.entries(named).filter(([name]) => of[name] !== undefined && of[name] !== null).map(([name, word]) => `${word} ${of[name]}`);
  return [of.enum?.join(", "), ...said].filter(Boolean).join(", ");
}

function table(head, rows) {
  const line = (cells, tag) => make("tr", {}, ...cells.map((cell) => make(tag, { textContent: cell })));
  return make("table", {}, make("thead", {}, line(head, "th")), make("tbody", {}, ...rows.map((row) => line(row, "td"))));
}

function fields(schema, document) {
  const found = schema?.$ref ? document.components.schemas[schema.$ref.split("/").at(-1)] : schema;
  return Object.entries(found?.properties ?? {}).map(([name, of]) => [
    name, (found.required ?? []).includes(name) ? "yes" : "", kind(of), [of.description, limits(of)].filter(Boolean).join("; "),
  ]);
}

function route(method, path, said, document) {
  const parts = [make("summary", {}, make("code", { textContent: `${method.toUpperCase()} ${path}` }))];
  parts.push(make("p", { textContent: said.description ?? said.summary }));
  const asked = (said.parameters ?? []).map((each) => [each.name, each.required ? "yes" : "", kind(each.schema),
    [each.description, limits(each.schema)].filter(Boolean).join("; ")]);
  if (asked.length) parts.push(table(["parameter", "needed", "kind", ""], asked));
  for (const [type, of] of Object.entries(said.requestBody?.content ?? {})) {
    parts.push(make("p", { textContent: `Body: ${type}` }), table(["field", "needed", "kind", ""], fields(of.schema, document)));
  }
  const answers = Object.entries(said.responses).map(([status, of]) => [status, of.description, Object.keys(of.content ?? {}).join(", ")]);
  parts.push(table(["answer", "", "kind"], answers));
  return make("details", { className: "route" }, ...parts);
}

const answer = await fetch("/openapi.json");
const place = document.getElementById("routes");
if (answer.ok) {
  const found = await answer.json();
  document.getElementById("about").textContent = `${found.info.version}: ${found.info.description}`;
  for (const [path, methods] of Object.entries(found.paths)) {
    for (const [method, said] of Object.entries(methods)) place.append(route(method, path, said, found));
  }
} else {
  place.append(make("p", { className: "fault", textContent: "A token is needed: open the page first." }));
}
