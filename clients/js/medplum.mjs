// @medplum/core against a running Tacet: create, read, search, page, patch, conditional create, batch, validate.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { MedplumClient } from "@medplum/core";

const base = `${process.env.TACET_BASE}/`;
const medplum = new MedplumClient({ baseUrl: base, fhirUrlPath: "", fetch, cacheTime: 0 });
medplum.setAccessToken(process.env.TACET_TOKEN);
const system = `urn:uuid:${randomUUID()}`;

const patient = await medplum.createResource({
  resourceType: "Patient",
  identifier: [{ system, value: "med-1" }],
  name: [{ family: "O'Connor", given: ["Siobhán", "Máire"] }],
  gender: "female",
});
assert.deepEqual(await medplum.readResource("Patient", patient.id, { cache: "reload" }), patient);

const same = await medplum.createResourceIfNoneExist(
  { resourceType: "Patient", identifier: [{ system, value: "med-1" }] },
  `identifier=${system}|med-1`,
);
assert.equal(same.id, patient.id, "there is one already: no second one is made");

for (let number = 0; number < 6; number += 1) {
  await medplum.createResource({
    resourceType: "Condition",
    clinicalStatus: {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/condition-clinical", code: "active" }],
    },
    subject: { reference: `Patient/${patient.id}` },
    code: { coding: [{ system, code: `c${number % 2}`, display: "Invented finding" }] },
    recordedDate: `2023-0${number + 1}-01`,
  });
}
const odd = await medplum.searchResources("Condition", { subject: `Patient/${patient.id}`, code: `${system}|c1` });
assert.equal(odd.length, 3);
let count = 0;
for await (const page of medplum.searchResourcePages("Condition", { patient: patient.id, _count: 4, _sort: "recorded-date" })) {
  count += page.length;
  assert.ok(page.length <= 4);
}
assert.equal(count, 6);
const withPatient = await medplum.search("Patient", `identifier=${system}|med-1&_revinclude=Condition:subject`);
assert.equal(withPatient.entry.filter((entry) => entry.search.mode === "include").length, 6);
const one = await medplum.searchOne("Patient", { given: "siobhan", identifier: `${system}|` });
assert.equal(one.id, patient.id);

const patched = await medplum.patchResource("Patient", patient.id, [
  { op: "test", path: "/gender", value: "female" },
  { op: "add", path: "/birthDate", value: "1990-12" },
]);
assert.equal(patched.birthDate, "1990-12");

const batch = await medplum.executeBatch({
  resourceType: "Bundle",
  type: "batch",
  entry: [
    { request: { method: "GET", url: `Patient/${patient.id}` } },
    { request: { method: "GET", url: `Condition?patient=${patient.id}&_count=1` } },
  ],
});
assert.deepEqual(batch.entry.map((entry) => entry.resource.resourceType), ["Patient", "Bundle"]);

const outcome = await medplum.validateResource({ ...patched, active: true });
assert.ok(outcome.issue.every((issue) => issue.severity !== "error"), JSON.stringify(outcome));
await medplum.deleteResource("Patient", patient.id);
await assert.rejects(medplum.readResource("Patient", patient.id, { cache: "reload" }));
