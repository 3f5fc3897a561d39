// fhir-kit-client against a running Tacet: create, read, search, page, patch, delete.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Client } from "fhir-kit-client";

const client = new Client({ baseUrl: process.env.TACET_BASE, bearerToken: process.env.TACET_TOKEN });
const system = `urn:uuid:${randomUUID()}`;

const patient = await client.create({
  resourceType: "Patient",
  body: {
    resourceType: "Patient",
    identifier: [{ system, value: "kit-1" }],
    name: [{ family: "Ménétrier", given: ["Zoé"] }],
    birthDate: "1984-02-29",
  },
});
assert.equal(patient.meta.versionId, "1");

const read = await client.read({ resourceType: "Patient", id: patient.id });
assert.deepEqual(read, patient);
const first = await client.vread({ resourceType: "Patient", id: patient.id, version: "1" });
assert.deepEqual(first, patient);

// Accents and case do not count; what was just written is found.
for (const searchParams of [
  { identifier: `${system}|kit-1` },
  { identifier: `${system}|`, family: "menet" },
  { identifier: `${system}|`, birthdate: "ge1984-02", given: "ZOE" },
]) {
  const found = await client.search({ resourceType: "Patient", searchParams });
  assert.deepEqual(found.entry.map((entry) => entry.resource.id), [patient.id], JSON.stringify(searchParams));
}
const posted = await client.search({
  resourceType: "Patient",
  searchParams: { identifier: `${system}|kit-1` },
  options: { postSearch: true },
});
assert.equal(posted.entry.length, 1);

const wanted = new Set();
for (let number = 0; number < 7; number += 1) {
  const observation = await client.create({
    resourceType: "Observation",
    body: {
      resourceType: "Observation",
      status: "final",
      code: { coding: [{ system, code: "pulse" }], text: "Pulse" },
      subject: { reference: `Patient/${patient.id}` },
      effectiveDateTime: `2024-03-0${number + 1}T08:00:00Z`,
      valueQuantity: { value: 60 + number, unit: "/min", system: "http://unitsofmeasure.org", code: "/min" },
    },
  });
  wanted.add(observation.id);
}
const seen = [];
let page = await client.search({
  resourceType: "Observation",
  searchParams: { patient: patient.id, code: `${system}|pulse`, _sort: "-date", _count: 3 },
});
for (let pages = 1; page; pages += 1) {
  assert.ok(pages <= 3, "three pages hold all");
  seen.push(...(page.entry ?? []).map((entry) => entry.resource));
  page = page.link.some((link) => link.relation === "next") ? await client.nextPage({ bundle: page }) : undefined;
}
assert.deepEqual(new Set(seen.map((resource) => resource.id)), wanted);
const dates = seen.map((resource) => resource.effectiveDateTime);
assert.deepEqual(dates, [...dates].sort().reverse());

const included = await client.search({
  resourceType: "Observation",
  searchParams: { code: `${system}|pulse`, "value-quantity": "gt65", _include: "Observation:subject" },
});
assert.deepEqual(included.entry.map((entry) => entry.search.mode).sort(), ["include", "match"]);

const patched = await client.patch({
  resourceType: "Patient",
  id: patient.id,
  jsonPatch: [{ op: "replace", path: "/birthDate", value: "1984-03-01" }],
});
assert.equal(patched.birthDate, "1984-03-01");
assert.equal(patched.meta.versionId, "2");

const history = await client.history({ resourceType: "Patient", id: patient.id });
assert.equal(history.total, 2);

const last = [...wanted][0];
await client.delete({ resourceType: "Observation", id: last });
const left = await client.search({ resourceType: "Observation", searchParams: { patient: patient.id, _summary: "count" } });
assert.equal(left.total, wanted.size - 1);
await assert.rejects(client.read({ resourceType: "Observation", id: last }), (error) => error.response.status === 410);
