// fhirclient (SMART on FHIR for JavaScript) against a running Tacet: create, read, search, page, patch.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

const smart = createRequire(import.meta.url)("fhirclient");
const request = { headers: {}, url: "/", socket: {} };
const client = smart(request, { headersSent: false }, {}).client({
  serverUrl: process.env.TACET_BASE,
  tokenResponse: { access_token: process.env.TACET_TOKEN, token_type: "bearer" },
});
const system = `urn:uuid:${randomUUID()}`;

const organization = await client.create({
  resourceType: "Organization",
  identifier: [{ system, value: "smart" }],
  name: "Clinique de l'Étoile",
});
const made = [];
for (let number = 0; number < 5; number += 1) {
  made.push(
    await client.create({
      resourceType: "Patient",
      active: number % 2 === 0,
      identifier: [{ system, value: `smart-${number}` }],
      name: [{ family: "Lefèvre", given: [`Ana${number}`] }],
      managingOrganization: { reference: `Organization/${organization.id}` },
    }),
  );
}
const read = await client.request(`Patient/${made[0].id}`);
assert.deepEqual(read, made[0]);

// Pages are followed by the client itself.
const query = new URLSearchParams({ identifier: `${system}|`, family: "LEFEVRE", _count: "2", _sort: "given" });
const pages = await client.request(`Patient?${query}`, { pageLimit: 0, flat: true });
assert.deepEqual(pages.map((patient) => patient.id), made.map((patient) => patient.id));

// A chain, and references that the client resolves.
const chained = await client.request(`Patient?organization.identifier=${encodeURIComponent(`${system}|smart`)}&active=true`, {
  flat: true,
  resolveReferences: ["managingOrganization"],
});
assert.equal(chained.length, 3);
assert.equal(chained[0].managingOrganization.name, "Clinique de l'Étoile");

const patched = await client.patch(`Patient/${made[1].id}`, [{ op: "add", path: "/gender", value: "female" }]);
assert.equal(patched.gender, "female");
const women = await client.request(`Patient?identifier=${encodeURIComponent(`${system}|`)}&gender=female`, { flat: true });
assert.deepEqual(women.map((patient) => patient.id), [made[1].id]);

const updated = await client.update({ ...patched, active: true });
assert.equal(updated.meta.versionId, "3");
await client.delete(`Patient/${made[4].id}`);
const left = await client.request(`Patient?identifier=${encodeURIComponent(`${system}|`)}&_summary=count`);
assert.equal(left.total, 4);
