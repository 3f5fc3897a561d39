//! A ward's paper pack, from the server's settings to the workstation and back into the ledger, by the command line alone.

use crate::place::Place;
use serde_json::Value;
use std::time::Duration;
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::{Clock, SystemClock};

/// A store with a ward of some patients, a workstation that can open its packs, and how many lie there.
fn ward() -> (Place, usize) {
    let (place, _) = Place::with_store();
    let hospital = Hospital::new(HospitalOptions { seed: 7, patients: 12, now: SystemClock.now() });
    let files: Vec<_> = (0..12).filter_map(|n| hospital.inpatient(n, "Cardiologie", n)).collect();
    let foundation = hospital.foundation();
    let lines = foundation.iter().chain(files.iter().flat_map(|file| &file.resources));
    place.write("in/all.ndjson", lines.map(|one| one.json.clone() + "\n").collect::<String>());
    place.json(&["import", "in"]);
    let key = place.json(&["pack", "key"])["key"].as_str().unwrap().to_owned();
    let init = ["pack", "workstation", "init", "--directory", "desk", "--hospital", &key, "--without-passphrase"];
    let recipient = place.json(&init)["recipient"].as_str().unwrap().to_owned();
    std::fs::create_dir(place.path("share")).unwrap();
    let (folder, ward) = (place.path("share"), hospital.ward("Cardiologie").unwrap());
    place.write(
        "data/tacet.toml",
        format!(
            "[packs]\nfolders = [\"{}\"]\n[packs.wards.cardio]\nplace = \"Location/{ward}\"\nname = \"Cardiologie\"\nrecipients = [\"{recipient}\"]\n",
            folder.display()
        ),
    );
    (place, files.len())
}

const PACK: &str = "share/ward-cardio.tacetpack";

/// What the ledger says of packs beside its entries, in order.
fn noted(place: &Place) -> Vec<String> {
    let vault = place.open_vault();
    let size = vault.ledger_head().unwrap().map_or(0, |head| head.size());
    let details = (0..size).filter_map(|index| vault.ledger_entry(index).unwrap().detail);
    let details = details.filter(|detail| detail.contains("paper pack")).collect();
    vault.close().unwrap();
    details
}

#[test]
fn a_workstation_opens_the_pack_without_the_store_and_its_openings_come_into_the_ledger() {
    let (place, patients) = ward();
    let made = place.json(&["pack", "make", "--ward", "cardio"]);
    // Some lie in two places at once, as in life: the latest counts.
    let sheets = usize::try_from(made["patients"].as_u64().unwrap()).unwrap();
    assert!(sheets > 0 && sheets <= patients, "{made}");
    let serial = made["serial"].as_str().unwrap().to_owned();

    // Where there is no store at all.
    std::fs::rename(place.data(), place.path("away")).unwrap();
    let open = |more: &[&str]| place.run(&[&["pack", "open", PACK, "--workstation", "desk", "--json"], more].concat());
    let looked: Value = open(&[]).ended(0).json();
    assert_eq!((looked["serial"].as_str(), looked["trusted"].as_bool()), (Some(serial.as_str()), Some(true)));
    open(&["--pdf", "clear.pdf"]).ended(0);
    open(&["--print", "dd of=printed.pdf status=none"]).ended(0);
    let clear = std::fs::read(place.path("clear.pdf")).unwrap();
    assert!(clear.starts_with(b"%PDF-1.7"));
    assert_eq!(std::fs::read(place.path("printed.pdf")).unwrap(), clear, "what is printed is what is written");
    // One that was changed on the way is not used, and what was not opened is not noted.
    let mut changed = std::fs::read(place.path(PACK)).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    place.write("share/changed.tacetpack", changed);
    let refused = place.run(&["pack", "open", "share/changed.tacetpack", "--workstation", "desk"]);
    assert_ne!(refused.code, Some(0), "{}", refused.out);
    let opened = std::fs::read_to_string(place.path("desk/opened")).unwrap();
    assert_eq!(opened.lines().count(), 3);

    std::fs::rename(place.path("away"), place.data()).unwrap();
    let before = noted(&place);
    // A line that is no opening: nothing of the file is taken.
    place.write("broken", format!("{opened}{{\"who\":\"somebody\"}}\n"));
    let broken = place.run(&["pack", "account", "broken"]);
    assert_ne!(broken.code, Some(0));
    assert!(broken.said().contains("line 4 is no opening"), "{}", broken.said());
    assert_eq!(noted(&place), before);
    assert_eq!(place.json(&["pack", "account", "desk/opened"])["openings"], 3);
    let told = noted(&place).split_off(before.len());
    let hows = ["looked at", "written", "printed"];
    assert_eq!(told.len(), hows.len());
    for (told, how) in told.iter().zip(hows) {
        assert!(
            told.contains(&format!("paper pack {serial}")) && told.contains(&format!("was {how} on a workstation")),
            "{told}"
        );
        assert!(told.contains("by Test operator, as the workstation says"), "{told}");
    }
}

/// How often it is looked, each 50 ms, for what a server does by itself. Nothing is measured by it.
const LOOKS_MAX: usize = 2_400;

#[test]
fn a_server_makes_the_packs_by_itself() {
    let (place, _) = ward();
    let serving = place.serve();
    let made = (0..LOOKS_MAX).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        place.path(PACK).exists()
    });
    assert!(made, "no pack was made");
    let opened = place.json(&["pack", "open", PACK, "--workstation", "desk"]);
    assert_eq!((opened["trusted"].as_bool(), opened["minutes_old"].as_i64().is_some()), (Some(true), true));
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(noted(&place).iter().any(|told| told.contains(opened["serial"].as_str().unwrap())));
}
