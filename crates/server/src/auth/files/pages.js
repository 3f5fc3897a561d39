// The pages of login and enrolment. No other script runs on them. Texts come from the page, in its language.
"use strict";

const main = document.querySelector("main");
const base = main.dataset.base;
const status = document.querySelector("[role=status]");

const toBytes = (text) => {
  const padded = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0));
};

const toText = (buffer) => {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

const send = async (path, body) => {
  const answer = await fetch(base + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(String(answer.status));
  return text === "" ? {} : JSON.parse(text);
};

const say = (name) => {
  status.textContent = main.dataset[name] ?? "";
};

const show = async (start, finish, more) => {
  const begun = await send(start, {});
  const options = begun.options.publicKey;
  options.challenge = toBytes(options.challenge);
  for (const known of options.allowCredentials ?? []) known.id = toBytes(known.id);
  const passkey = await navigator.credentials.get({ publicKey: options });
  const { response } = passkey;
  return send(finish, {
    ceremony: begun.ceremony,
    answer: {
      id: passkey.id,
      rawId: toText(passkey.rawId),
      type: passkey.type,
      response: {
        authenticatorData: toText(response.authenticatorData),
        clientDataJSON: toText(response.clientDataJSON),
        signature: toText(response.signature),
        userHandle: response.userHandle ? toText(response.userHandle) : null,
      },
      clientExtensionResults: {},
    },
    ...more,
  });
};

const enrol = async (first, second, label) => {
  const begun = await send("/auth/enrol/start", { first, second });
  const options = begun.options.publicKey;
  options.challenge = toBytes(options.challenge);
  options.user.id = toBytes(options.user.id);
  for (const known of options.excludeCredentials ?? []) known.id = toBytes(known.id);
  const passkey = await navigator.credentials.create({ publicKey: options });
  const { response } = passkey;
  return send("/auth/enrol/finish", {
    ceremony: begun.ceremony,
    label,
    answer: {
      id: passkey.id,
      rawId: toText(passkey.rawId),
      type: passkey.type,
      response: {
        attestationObject: toText(response.attestationObject),
        clientDataJSON: toText(response.clientDataJSON),
      },
      clientExtensionResults: {},
    },
  });
};

// What is done with a button: once at a time, and with a word about how it went.
const on = (id, work) => {
  const button = document.getElementById(id);
  button?.addEventListener("click", async (event) => {
    event.preventDefault();
    button.disabled = true;
    say("working");
    try {
      await work();
    } catch (error) {
      say(error.message === "429" ? "locked" : "failed");
    } finally {
      button.disabled = false;
    }
  });
};

on("login", async () => {
  const answer = await show("/auth/login/start", "/auth/login/finish", { next: main.dataset.next });
  location.assign(answer.next);
});

on("enrol", async () => {
  const value = (id) => document.getElementById(id).value.trim();
  await enrol(value("first"), value("second"), value("label"));
  say("done");
  location.assign(base + "/auth/login");
});

on("further", async () => {
  await show("/auth/step-up/start", "/auth/step-up/finish", {});
  await enrol("", "", document.getElementById("label").value.trim());
  say("done");
});

on("logout", async () => {
  // Where the login was made elsewhere, the person is logged out there, too.
  const { next } = await send("/auth/logout", {});
  location.assign(next || base + "/auth/login");
});

// The first code comes behind `#`, which no server and no log sees.
const first = document.getElementById("first");
if (first && location.hash.length > 1) {
  first.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}

// Whoever comes from an app's page comes without the session's cookie; from here it goes along.
if (main.dataset.page === "login" && main.dataset.next && !main.dataset.fresh && !main.dataset.known) {
  fetch(base + "/auth/session", { credentials: "same-origin" }).then((answer) => {
    if (answer.ok) location.replace(main.dataset.next);
  });
}
