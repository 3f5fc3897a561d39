// People at their browsers: each has a browser of their own with a passkey in software (WebAuthn over the DevTools protocol).
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PROGRAM = "/usr/bin/chromium";

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Longest wait for a page or a passkey, in milliseconds: the program may be a debug build on a busy machine. */
const WAIT_MS = 30_000;

export const openBrowser = async () => {
  assert.ok(existsSync(PROGRAM), `${PROGRAM} is not there: install Debian's package chromium`);
  return chromium.launch({ executablePath: PROGRAM, args: ARGUMENTS, headless: true });
};

/** Somebody with a browser and an authenticator that keeps passkeys and finds its user. */
export class Person {
  static async at(browser, base, locale) {
    const context = await browser.newContext({ locale });
    context.setDefaultTimeout(WAIT_MS);
    const page = await context.newPage();
    const protocol = await context.newCDPSession(page);
    await protocol.send("WebAuthn.enable");
    await protocol.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    const person = new Person();
    return Object.assign(person, { base, page, context });
  }

  /** Makes the first passkey, by both codes of an invitation. */
  async enrol(first, second) {
    await this.page.goto(`${this.base}/auth/enrol#${encodeURIComponent(first)}`);
    assert.equal(await this.page.inputValue("#first"), first, "the first code comes with the link");
    assert.ok(!this.page.url().includes(first), "and does not stay in the address");
    await this.page.fill("#second", second);
    await this.page.click("#enrol");
    await this.page.waitForURL("**/auth/login");
  }

  /** Logs in on the page of login, wherever it leads. */
  async logIn() {
    await this.page.click("#login");
  }

  async logInHere() {
    await this.page.goto(`${this.base}/auth/login`);
    await this.logIn();
    await this.page.waitForSelector("#logout");
  }

  async logOut() {
    await this.page.goto(`${this.base}/auth/login`);
    await this.page.click("#logout");
    await this.page.waitForSelector("#login");
  }

  /** Asks the server as a page of it, with the session. */
  async ask(method, path, body) {
    const send = async ([method, path, body]) => {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
      const text = await answer.text();
      return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
    };
    return this.page.evaluate(send, [method, path, body]);
  }
}

const WHY = { ticket: "T-1", reason: "a test of stock clients" };

/** What one person asks for and another allows. Gives the answer to the decision, and the approval. */
const allowed = async (asks, decides, path, body) => {
  const asked = await asks.ask("POST", path, { ...body, why: WHY });
  assert.equal(asked.status, 202, JSON.stringify(asked.body));
  const decision = { allowed: true, remark: "seen" };
  const decided = await decides.ask("POST", `/_approvals/${asked.body.id}/decision`, decision);
  assert.equal(decided.status, 200, JSON.stringify(decided.body));
  return { decided: decided.body, approval: asked.body.id };
};

/** A new account: gives both codes of its invitation. */
export const employ = async (asks, decides, wanted) => {
  const { decided, approval } = await allowed(asks, decides, "/_accounts", wanted);
  const link = await asks.ask("POST", `/_accounts/${decided.account}/invitation`, { approval });
  assert.equal(link.status, 200, JSON.stringify(link.body));
  return [link.body.code, decided.secondCode];
};

/** Registers a client as anybody may, and has it let in by two people. Gives its id. */
export const letIn = async (base, asks, decides, registration) => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${base}/oauth/register`, { method: "POST", headers, body: JSON.stringify(registration) });
  const registered = await answer.json();
  assert.equal(answer.status, 201, JSON.stringify(registered));
  const path = `/_clients/${registered.client_id}/approval`;
  const { approval } = await allowed(asks, decides, path, {});
  const active = await asks.ask("POST", path, { approval });
  assert.equal(active.status, 200, JSON.stringify(active.body));
  assert.equal(active.body.state, "active");
  return registered.client_id;
};
