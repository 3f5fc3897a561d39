// A SMART app's site: two pages around the browser build of fhirclient, as its own documentation shows them. It has no server side.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const library = createRequire(import.meta.url).resolve("fhirclient/build/fhir-client.min.js");

const page = (script) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>…</title><script src="/fhir-client.js"></script><script>
const failed = (error) => { window.failure = String(error && error.message || error); document.title = "failed"; };
${script}</script></html>`;

/** Serves the app on a free port of the loopback: launched from the record system at `/launch`, by itself at `/standalone`. */
export const serveApp = async (clientId, scope) => {
  const code = await readFile(library);
  const launch = (scope) =>
    page(`FHIR.oauth2.authorize(${JSON.stringify({ clientId, scope, redirectUri: "/app" })}).catch(failed);`);
  const pages = {
    "/launch": () => launch(`launch ${scope}`),
    "/standalone": () => launch(scope),
    "/app": () => page(`FHIR.oauth2.ready().then((client) => { window.client = client; document.title = "ready"; }, failed);`),
    "/other": () => page(""),
  };
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://app").pathname;
    if (path === "/fhir-client.js") {
      response.writeHead(200, { "content-type": "text/javascript" }).end(code);
    } else if (pages[path]) {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(pages[path]());
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: server.address().port, close: () => server.close() };
};
