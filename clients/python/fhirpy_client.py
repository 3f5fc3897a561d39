"""fhirpy against a running Tacet: create, read, search, page, chain, include, patch (RFC 7396, as this client does it), delete."""

import os
import uuid

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import ResourceNotFound

client = SyncFHIRClient(os.environ["TACET_BASE"], authorization=f"Bearer {os.environ['TACET_TOKEN']}")
system = f"urn:uuid:{uuid.uuid4()}"

patient = client.resource(
    "Patient",
    identifier=[{"system": system, "value": "py-1"}],
    name=[{"family": "Nguyễn", "given": ["Thị Hoa"]}],
    birthDate="1975-06-15",
)
patient.save()
assert patient.id

read = client.reference("Patient", patient.id).to_resource()
assert read.serialize()["name"] == [{"family": "Nguyễn", "given": ["Thị Hoa"]}]

found = client.resources("Patient").search(identifier=f"{system}|py-1", family="nguyen").first()
assert found.id == patient.id

days = {}
for number in range(9):
    encounter = client.resource(
        "Encounter",
        identifier=[{"system": system, "value": f"visit-{number}"}],
        status="finished",
        subject=patient.to_reference(),
        period={"start": f"2024-05-{number + 1:02}T23:30:00+02:00", "end": f"2024-05-{number + 2:02}T01:00:00+02:00"},
        **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
    )
    encounter.save()
    days[encounter.id] = number

everything = client.resources("Encounter").search(identifier=f"{system}|").limit(4).fetch_all()
assert {one.id for one in everything} == set(days)
late = client.resources("Encounter").search(identifier=f"{system}|", date__ge="2024-05-05").fetch_all()
# A date without a zone is a day of UTC: the visit that begins on the 4th at 23:30 in Paris ends on the 4th at 23:00 UTC.
assert len(late) == 5, len(late)
chained = client.resources("Encounter").search(subject__Patient__identifier=f"{system}|py-1").fetch_all()
assert len(chained) == 9
included = client.resources("Encounter").search(identifier=f"{system}|visit-3").include("Encounter", "subject").fetch_raw()
assert {entry.search.mode for entry in included.entry} == {"match", "include"}

patient.patch(active=True)
again = client.resources("Patient").get(patient.id)
assert again.active is True and again.birthDate == "1975-06-15"

again["gender"] = "female"
again.save(fields=["gender"])
assert client.resources("Patient").search(identifier=f"{system}|", gender="female").first().id == patient.id

# A conditional update: made where there is none, changed where there is one.
wanted = client.resource("Patient", identifier=[{"system": system, "value": "py-2"}])
other, created = client.resources("Patient").search(identifier=f"{system}|py-2").update(wanted)
assert created
wanted["active"] = True
same, created = client.resources("Patient").search(identifier=f"{system}|py-2").update(wanted)
assert not created and same.id == other.id and same.active is True

other.delete()
try:
    client.resources("Patient").get(other.id)
except ResourceNotFound:
    pass
else:
    raise AssertionError("a deleted patient was read")
