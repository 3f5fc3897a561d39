"""A backend service of SMART against a running Tacet: PyJWT signs its assertions, fhirpy works with the token. What is not its own gets none."""

import json
import os
import time
import uuid

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import ResourceNotFound

base = os.environ["TACET_BASE"]
with open(os.environ["TACET_BACKEND"], encoding="utf-8") as file:
    service = json.load(file)
token_endpoint = requests.get(f"{base}/.well-known/smart-configuration", timeout=30).json()["token_endpoint"]


def assertion(key=service["key"], kid=service["kid"], ends_in_s=240, **claims):
    """What proves who asks (SMART App Launch 2, "Client authentication: asymmetric")."""
    now = int(time.time())
    claims = {
        "iss": service["client"],
        "sub": service["client"],
        "aud": token_endpoint,
        "iat": now,
        "exp": now + ends_in_s,
        "jti": str(uuid.uuid4()),
        **claims,
    }
    return jwt.encode(claims, key, algorithm="ES384", headers={"kid": kid})


def ask(signed, scope="system/Patient.rs system/Observation.rs"):
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }
    return requests.post(token_endpoint, data=form, timeout=30)


good = assertion()
answer = ask(good)
assert answer.status_code == 200, answer.text
given = answer.json()
assert given["token_type"].lower() == "bearer" and given["expires_in"] <= 300 and "refresh_token" not in given, given
assert set(given["scope"].split()) == {"system/Patient.rs", "system/Observation.rs"}, given

# The token works, for what it was given for and for nothing else.
client = SyncFHIRClient(base, authorization=f"Bearer {given['access_token']}")
assert client.reference("Patient", "smart-mine").to_resource()["birthDate"] == "1971-03-04"
found = client.resources("Observation").search(subject="Patient/smart-mine").fetch_all()
assert [one.id for one in found] == ["smart-mine"], found
try:
    client.resource("Patient", id="smart-new", active=True).save()
except Exception as error:  # Each version of the client has another exception for a refusal.
    assert not isinstance(error, AssertionError), error
else:
    raise AssertionError("a patient was written with a scope to read")
try:
    client.reference("Encounter", "smart-mine-stay").to_resource()
except ResourceNotFound:
    pass
else:
    raise AssertionError("a record outside of the scopes was read")

# Fewer scopes are given where fewer are asked for, and none where none of them may be.
narrow = ask(assertion(), "system/Patient.r system/Condition.rs").json()
assert narrow["scope"] == "system/Patient.r", narrow
refused = ask(assertion(), "system/Condition.rs")
assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope"), refused.text

# Who cannot prove it is nobody.
wrong = {
    "the same assertion again": good,
    "another key": assertion(key=ec.generate_private_key(ec.SECP384R1())),
    "an assertion that is over": assertion(iat=int(time.time()) - 600, ends_in_s=-300),
    "an assertion for another server": assertion(aud="https://elsewhere.example/oauth/token"),
}
for name, signed in wrong.items():
    refused = ask(signed)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), (name, refused.text)
