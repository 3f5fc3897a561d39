// The page of consent: helps to choose whose record an app is given. It asks the server as the person does, with their rights and in their name in the
// ledger. Without it the patient's id is typed.
"use strict";

const main = document.querySelector("main");
const base = main.dataset.base;
const status = document.querySelector("[role=status]");
const field = (id) => document.getElementById(id);

// Systems of the French national identity (INS): NIR, NIA, and those for tests and demonstrations.
const INS = ["8", "9", "10", "11"].map((last) => `urn:oid:1.2.250.1.213.1.4.${last}`);

const SHOWN_MAX = 10;

const say = (name) => {
  status.textContent = main.dataset[name] ?? "";
};

const ask = async (path, body) => {
  const headers = { accept: "application/fhir+json" };
  if (body) headers["content-type"] = "application/fhir+json";
  const method = body ? "POST" : "GET";
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body), credentials: "same-origin" });
  if (!answer.ok) throw Object.assign(new Error(), { status: answer.status });
  return answer.json();
};

const resources = (bundle, type) =>
  (bundle.entry ?? []).map((entry) => entry.resource).filter((resource) => resource?.resourceType === type);

const named = (patient) => {
  const name = (patient.name ?? []).find((one) => one.use === "official") ?? patient.name?.[0] ?? {};
  const whole = [name.family?.toUpperCase(), ...(name.given ?? [])].filter(Boolean).join(" ") || name.text || "?";
  return [whole, patient.birthDate, main.dataset[patient.gender]].filter(Boolean).join(", ");
};

const stay = (encounter) => {
  const { start, end } = encounter.period ?? {};
  const day = (at) => at?.slice(0, 10) ?? "…";
  const kind = encounter.class?.display ?? encounter.class?.code;
  const place = encounter.serviceProvider?.display ?? encounter.location?.[0]?.location?.display;
  return [`${day(start)} – ${end ? day(end) : "…"}`, kind, place].filter(Boolean).join(", ");
};

// One line to choose. Texts of records are put in as text.
const choice = (group, value, text, chosen) => {
  const label = document.createElement("label");
  label.className = "choice";
  const input = Object.assign(document.createElement("input"), { type: "radio", name: group, value });
  input.addEventListener("change", () => chosen(value));
  const words = Object.assign(document.createElement("span"), { textContent: text });
  label.append(input, words);
  return label;
};

const searched = async (text, born) => {
  const digits = text.replaceAll(" ", "").toUpperCase();
  if (/^[1-478][0-9]{4}[0-9AB][0-9]{7}([0-9]{2})?$/.test(digits)) {
    const values = [...new Set([digits, digits.slice(0, 13)])];
    const known = values.flatMap((value) => INS.map((system) => `${system}|${value}`));
    return ask(`/Patient?${new URLSearchParams({ identifier: known.join(","), _count: SHOWN_MAX + 1 })}`);
  }
  const words = text.split(/\s+/).filter(Boolean);
  const criteria = new URLSearchParams(words.map((word) => ["name", word.replaceAll(/[\\,$|]/g, "\\$&")]));
  if (born) criteria.append("birthdate", born);
  criteria.append("_count", SHOWN_MAX + 1);
  try {
    return await ask(`/Patient?${criteria}`);
  } catch (error) {
    // Where patients are looked for only as the French rules have it, a birth date and the beginning of a name find them.
    if (error.status !== 403 || !born) throw error;
    const resource = { resourceType: "Patient", birthDate: born, name: words.length ? [{ family: words[0], given: words.slice(1) }] : [] };
    if (!words.length) delete resource.name;
    else if (words.length === 1) delete resource.name[0].given;
    return ask("/Patient/$match", {
      resourceType: "Parameters",
      parameter: [{ name: "resource", resource }, { name: "count", valueInteger: SHOWN_MAX }],
    });
  }
};

// The stays of whoever is chosen, where the app asks for one.
const showStays = async (patient) => {
  const list = field("encounters");
  if (!list) return;
  list.replaceChildren();
  const none = choice("encounter", "", main.dataset.none, () => {});
  none.querySelector("input").checked = true;
  list.append(none);
  if (!patient) return;
  const query = new URLSearchParams({ patient, _sort: "-date", _count: SHOWN_MAX });
  for (const encounter of resources(await ask(`/Encounter?${query}`), "Encounter")) {
    list.append(choice("encounter", encounter.id, stay(encounter), () => {}));
  }
};

const choose = (patient) => {
  const id = field("patient");
  if (id) id.value = patient;
  showStays(patient).catch(() => say("failed"));
};

const find = async () => {
  const [text, born] = [field("search").value.trim(), field("born").value];
  const list = field("found");
  list.replaceChildren();
  if (text.length + born.length < 2) return;
  say("working");
  try {
    const found = resources(await searched(text, born), "Patient");
    for (const patient of found.slice(0, SHOWN_MAX)) list.append(choice("found", patient.id, named(patient), choose));
    say(found.length > SHOWN_MAX ? "more" : found.length === 0 ? "nobody" : "");
  } catch (error) {
    say(error.status === 403 ? "narrow" : "failed");
  }
};

if (field("search")) {
  field("finding").hidden = false;
  field("find").addEventListener("click", find);
  for (const id of ["search", "born"]) {
    field(id).addEventListener("keydown", (event) => {
      // The page's first button gives consent: Enter looks, and nothing else.
      if (event.key !== "Enter") return;
      event.preventDefault();
      find();
    });
  }
  const typed = field("patient");
  const byId = () => {
    for (const other of document.querySelectorAll("#found input")) other.checked = false;
    choose(typed.value.trim());
  };
  typed.addEventListener("change", byId);
  typed.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    byId();
  });
}

// Whose record it is, by name where the page has an id.
for (const place of document.querySelectorAll("[data-patient]")) {
  ask(`/Patient/${encodeURIComponent(place.dataset.patient)}`).then(
    (patient) => place.prepend(`${named(patient)} `),
    () => {},
  );
}
for (const own of document.querySelectorAll("input[name=patient][type=radio]")) {
  own.addEventListener("change", () => choose(own.value));
}
const known = document.querySelector("input[name=patient][type=hidden]");
if (field("encounters")) choose(known?.value ?? "");
