"""fhirclient (SMART on FHIR for Python) against a running Tacet: create, read, search, page, update, delete. It has no patch."""

import os
import uuid

from fhirclient.models import humanname, identifier, observation, codeableconcept, coding, fhirreference, patient
from fhirclient.server import FHIRServer, FHIRNotFoundException

server = FHIRServer(None, base_uri=os.environ["TACET_BASE"] + "/")
server.session.headers["Authorization"] = f"Bearer {os.environ['TACET_TOKEN']}"
system = f"urn:uuid:{uuid.uuid4()}"


def made(resource):
    """Creates a resource and gives it back as the server has it."""
    answer = resource.create(server)
    assert answer["id"], answer
    return type(resource).read(answer["id"], server)


someone = patient.Patient()
someone.identifier = [identifier.Identifier({"system": system, "value": "smart-py"})]
someone.name = [humanname.HumanName({"family": "Garçon", "given": ["Léo"]})]
someone = made(someone)
assert someone.name[0].family == "Garçon"

for number in range(5):
    one = observation.Observation()
    one.status = "final"
    one.code = codeableconcept.CodeableConcept()
    one.code.coding = [coding.Coding({"system": system, "code": "weight"})]
    one.subject = fhirreference.FHIRReference({"reference": f"Patient/{someone.id}"})
    made(one)

found = patient.Patient.where({"identifier": f"{system}|smart-py", "family": "garcon"}).perform_resources(server)
assert [one.id for one in found] == [someone.id]

search = observation.Observation.where({"subject": f"Patient/{someone.id}", "code": f"{system}|weight", "_count": "2"})
total = sum(len(bundle.entry or []) for bundle in search.perform_iter(server))
assert total == 5, total

someone.active = True
someone.update(server)
assert patient.Patient.read(someone.id, server).meta.versionId == "2"
someone.delete(server)
try:
    patient.Patient.read(someone.id, server)
except FHIRNotFoundException:
    pass
except Exception as error:  # Gone has no exception of its own in this client.
    assert "410" in str(error) or getattr(error, "response", None) is not None and error.response.status_code == 410, error
else:
    raise AssertionError("a deleted patient was read")
