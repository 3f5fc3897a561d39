// fhirclient in headless Chromium, with a passkey in software: people get accounts, two of them let an app in, a clinician launches it both ways, and
// what ends it ends it. The app's site is another than the server's.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { serveApp } from "./app.mjs";
import { Person, employ, letIn, openBrowser } from "./people.mjs";

const base = process.env.TACET_BASE;
const machine = { authorization: `Bearer ${process.env.TACET_TOKEN}`, "content-type": "application/json" };
const system = `urn:uuid:${randomUUID()}`;
/** A number for tests, with its key. */
const INS = `2710375123456${String(97n - (2710375123456n % 97n)).padStart(2, "0")}`;
const SCOPES =
  "launch/patient launch/encounter openid fhirUser online_access patient/Patient.rs patient/Observation.rs patient/Encounter.r";

/** Stores a record as an interface of the hospital does. */
const put = async (record) => {
  const url = `${base}/${record.resourceType}/${record.id}`;
  const answer = await fetch(url, { method: "PUT", headers: machine, body: JSON.stringify(record) });
  assert.ok(answer.ok, `${url}: ${answer.status} ${await answer.text()}`);
};

const ward = async () => {
  await put({ resourceType: "Practitioner", id: "smart-dr", active: true });
  for (const [id, family] of [["smart-mine", "Lévêque"], ["smart-second", "Lévêque"], ["smart-other", "Lévêque"]]) {
    const identifier = [{ system, value: id }];
    if (id === "smart-mine") identifier.push({ system: "urn:oid:1.2.250.1.213.1.4.10", value: INS });
    await put({ resourceType: "Patient", id, identifier, name: [{ family, given: [id.slice(6)] }], birthDate: "1971-03-04" });
    const subject = { reference: `Patient/${id}` };
    await put({ resourceType: "Observation", id, status: "final", code: { text: "Weight" }, subject, valueString: "70 kg" });
    if (id === "smart-other") continue;
    await put({
      resourceType: "Encounter",
      id: `${id}-stay`,
      status: "in-progress",
      class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "IMP" },
      subject,
      period: { start: new Date(Date.now() - 3_600_000).toISOString() },
      participant: [{ individual: { reference: "Practitioner/smart-dr" } }],
    });
  }
};

/** Whether the app was left with a client, or why not. */
const arrived = async (page) => {
  await page.waitForFunction(() => document.title === "ready" || document.title === "failed");
  const failure = await page.evaluate(() => window.failure);
  assert.equal(failure, undefined);
  return page.evaluate(() => {
    const { patient, encounter, user, state } = window.client;
    return { patient: patient.id, encounter: encounter.id, user: user.fhirUser, token: state.tokenResponse };
  });
};

/** What the app gets for a request: its answer, or the status that it was refused with. */
const ask = (page, url) =>
  page.evaluate(async (url) => {
    try {
      return await window.client.request(url);
    } catch (error) {
      return error.status ?? error.statusCode ?? String(error);
    }
  }, url);

const browser = await openBrowser();
const [administrator, officer] = JSON.parse(process.env.TACET_ACCOUNTS);
const admin = await Person.at(browser, base, "en-GB");
const security = await Person.at(browser, base, "fr-FR");
for (const [person, account] of [[admin, administrator], [security, officer]]) {
  await person.enrol(account.first_code, account.second_code);
  await person.logInHere();
}
await ward();

const doctor = await Person.at(browser, base, "fr-FR");
const account = { login: "smart-dr", display: "Dr Smart", role: "clinician", practitioner: "smart-dr" };
await doctor.enrol(...(await employ(admin, security, account)));

const client = await letIn(base, admin, security, {
  client_name: "Growth charts",
  redirect_uris: ["http://127.0.0.1/app"],
  grant_types: ["authorization_code", "refresh_token"],
  token_endpoint_auth_method: "none",
  scope: `launch ${SCOPES}`,
});
const app = await serveApp(client, SCOPES);
const site = `http://127.0.0.1:${app.port}`;
const { page } = doctor;

// Standalone: login with the passkey, the patient is chosen, and back.
await page.goto(`${site}/standalone?iss=${encodeURIComponent(base)}`);
await page.waitForURL("**/auth/login?*");
await doctor.logIn();
await page.waitForSelector("#allow");
assert.equal(await page.getAttribute("html", "lang"), "fr");
assert.ok((await page.textContent("main")).includes("Growth charts"));
// Of three of that name two are the clinician's to see. By the national identity number there is one.
const found = async (text) => {
  await page.fill("#search", text);
  await page.press("#search", "Enter");
  await page.waitForFunction(() => document.querySelector("[role=status]").textContent !== document.querySelector("main").dataset.working);
  return page.$$eval("#found label", (labels) => labels.map((label) => label.textContent));
};
assert.deepEqual((await found("leveque")).sort(), ["LÉVÊQUE mine, 1971-03-04", "LÉVÊQUE second, 1971-03-04"]);
assert.deepEqual(await found("leveque other"), []);
assert.deepEqual(await found(`${INS.slice(0, 1)} ${INS.slice(1)}`), ["LÉVÊQUE mine, 1971-03-04"]);
await page.check("#found input");
await page.check("#encounters input[value=smart-mine-stay]");
assert.equal(await page.inputValue("#patient"), "smart-mine");
await page.click("#allow");
const first = await arrived(page);
assert.deepEqual([first.patient, first.encounter], ["smart-mine", "smart-mine-stay"]);
assert.equal(first.user, "Practitioner/smart-dr");
assert.equal((await ask(page, "Patient/smart-mine")).birthDate, "1971-03-04");
const results = await ask(page, "Observation?patient=smart-mine");
assert.deepEqual(results.entry.map((entry) => entry.resource.id), ["smart-mine"]);
assert.equal((await ask(page, "Encounter/smart-mine-stay")).id, "smart-mine-stay");
// The clinician may see the second, whom the app was not given, and not the third. To the app both are not there.
for (const other of ["smart-second", "smart-other"]) {
  assert.equal(await ask(page, `Patient/${other}`), 404);
  assert.equal((await ask(page, `Observation?patient=${other}`)).entry, undefined);
}
assert.equal(await ask(page, "Condition?patient=smart-mine").then((answer) => answer.entry), undefined);

// A refresh: another token, and the one before it has been used up.
const [before, after] = await page.evaluate(async () => {
  const before = { ...window.client.state.tokenResponse };
  await window.client.refresh();
  return [before, { ...window.client.state.tokenResponse }];
});
assert.notEqual(before.access_token, after.access_token);
assert.notEqual(before.refresh_token, after.refresh_token);
assert.equal((await ask(page, "Patient/smart-mine")).id, "smart-mine");

// Scripts of other sites are told what there is, and get neither tokens nor records: the same page under another name is another site.
const elsewhere = await doctor.context.newPage();
await elsewhere.goto(`http://localhost:${app.port}/other`);
const answers = await elsewhere.evaluate(async ([base, token, refresh]) => {
  const status = async (path, init) => fetch(base + path, init).then((answer) => answer.status, () => "refused by the browser");
  const headers = { authorization: `Bearer ${token}` };
  const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: `${refresh}0` });
  return [
    await status("/.well-known/smart-configuration"),
    await status("/metadata"),
    await status("/Patient/smart-mine", { headers }),
    await status("/oauth/token", { method: "POST", body }),
  ];
}, [base, after.access_token, after.refresh_token]);
assert.deepEqual(answers, [200, 200, "refused by the browser", "refused by the browser"]);
await elsewhere.close();

// Leaving ends what was given for the session.
await doctor.logOut();
const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });
assert.equal((await fetch(`${base}/Patient/smart-mine`, bearer(after.access_token))).status, 401);

// From the record system, with what is open there.
const started = await fetch(`${base}/_launches`, {
  method: "POST",
  headers: machine,
  body: JSON.stringify({ login: "smart-dr", client, patient: "smart-second", encounter: "smart-second-stay", need_patient_banner: false }),
});
assert.equal(started.status, 201);
const { launch, iss } = await started.json();
await page.goto(`${site}/launch?${new URLSearchParams({ iss, launch })}`);
await page.waitForURL("**/auth/login?*");
await doctor.logIn();
await page.waitForSelector("#allow");
await page.click("#allow");
const second = await arrived(page);
assert.deepEqual([second.patient, second.encounter], ["smart-second", "smart-second-stay"]);
assert.equal(second.token.need_patient_banner, false);
assert.equal((await ask(page, "Encounter/smart-second-stay")).id, "smart-second-stay");
assert.equal(await ask(page, "Patient/smart-mine"), 404);

// The app gives its token back.
const revoked = await page.evaluate(async ([base, client]) => {
  const token = window.client.state.tokenResponse.refresh_token;
  const body = new URLSearchParams({ token, client_id: client });
  return (await fetch(`${base}/oauth/revoke`, { method: "POST", body })).status;
}, [base, client]);
assert.equal(revoked, 200);
assert.equal((await fetch(`${base}/Patient/smart-second`, bearer(second.token.access_token))).status, 401);

// A machine is let in too: who is given its key (`TACET_BACKEND`) is the backend service.
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
const kid = randomUUID();
const service = await letIn(base, admin, security, {
  client_name: "Laboratory",
  grant_types: ["client_credentials"],
  token_endpoint_auth_method: "private_key_jwt",
  scope: "system/Patient.rs system/Observation.rs",
  jwks: { keys: [{ ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "ES384" }] },
});
const key = privateKey.export({ format: "pem", type: "pkcs8" });
await writeFile(process.env.TACET_BACKEND, JSON.stringify({ client: service, kid, key }), { mode: 0o600 });
app.close();
await browser.close();
