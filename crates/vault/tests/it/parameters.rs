//! Search parameters that a SearchParameter resource defines: found by once the index is made with them, refused until then.

use crate::house::*;
use crate::index_files::copy;
use crate::searching::{assert_index_is_the_heads, found, search};
use std::time::{Duration, Instant};
use tacet_vault::VaultError;

/// How long a test waits for an index of some records.
const PATIENCE: Duration = Duration::from_secs(60);

fn definition(id: &str, code: &str, url: &str) -> String {
    format!(
        r#"{{"resourceType":"SearchParameter","id":"{id}","url":"http://e/sp/{id}","name":"N{id}","description":"A parameter",
        "status":"active","code":"{code}","type":"token","base":["Patient"],"expression":"Patient.extension('{url}').value"}}"#
    )
}

fn coloured(id: &str, eye: &str, hair: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","extension":[{{"url":"http://e/eye","valueCode":"{eye}"}},
        {{"url":"http://e/hair","valueCode":"{hair}"}}]}}"#
    )
}

#[expect(clippy::disallowed_methods, reason = "a test that waits for ever is worse than one that gives up")]
fn now() -> Instant {
    Instant::now()
}

/// What a search finds once it is not told to wait any more: until then nothing but being told to wait is right.
fn soon(house: &House, path: &str) -> Result<Vec<String>, VaultError> {
    let end = now() + PATIENCE;
    loop {
        match search(house, path) {
            Err(VaultError::Indexing(_)) => {
                assert!(now() < end, "{path} waits for ever");
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error),
            Ok(_) => return Ok(found(house, path)),
        }
    }
}

fn unknown(house: &House, path: &str) -> bool {
    matches!(soon(house, path), Err(VaultError::Search(_)))
}

fn in_house(house: &House) {
    for number in 0..30 {
        let id = format!("p{number}");
        let eye = ["blue", "brown", "green"][number % 3];
        house.put("Patient", &id, &coloured(&id, eye, ["red", "black"][number % 2])).unwrap();
    }
}

fn changes_its_parameters(house: &House) {
    in_house(house);
    assert!(unknown(house, "Patient?eyes=blue"));
    house.put("SearchParameter", "b", &definition("b", "hairs", "http://e/hair")).unwrap();
    assert_eq!(soon(house, "Patient?hairs=red").unwrap().len(), 15, "told to wait, or right");
    // The next one stands before it in the order of ids, so that its number moves.
    house.put("SearchParameter", "a", &definition("a", "eyes", "http://e/eye")).unwrap();
    // Written while the index is made: in either half.
    house.put("Patient", "new", &coloured("new", "blue", "red")).unwrap();
    assert_eq!(found(house, "Patient?_id=new"), ["Patient/new"], "what means the same goes on");
    assert_eq!(soon(house, "Patient?eyes=blue").unwrap().len(), 11);
    assert_eq!(soon(house, "Patient?hairs=red").unwrap().len(), 16);
    assert_eq!(soon(house, "Patient?hairs=blue").unwrap().len(), 0);

    // Another meaning of the same name.
    house.put("SearchParameter", "a", &definition("a", "eyes", "http://e/hair")).unwrap();
    house.put("Patient", "newer", &coloured("newer", "blue", "black")).unwrap();
    assert_eq!(soon(house, "Patient?eyes=blue").unwrap(), [] as [&str; 0]);
    assert_eq!(soon(house, "Patient?eyes=black").unwrap().len(), 16);

    house.delete("SearchParameter", "a").unwrap();
    assert!(unknown(house, "Patient?eyes=blue"));
    assert_eq!(soon(house, "Patient?hairs=black").unwrap().len(), 16);
    assert_index_is_the_heads(house);
}

#[test]
fn a_parameter_comes_changes_and_goes() {
    let mut house = House::new();
    changes_its_parameters(&house);
    house.reopen();
    assert_eq!(soon(&house, "Patient?hairs=black").unwrap().len(), 16);
    assert!(unknown(&house, "Patient?eyes=blue"));
    assert_index_is_the_heads(&house);
}

#[test]
fn writers_meanwhile_are_found_by_what_they_wrote() {
    let scratch = tempfile::tempdir().unwrap();
    let mut house = House::new();
    house.index = Some(scratch.path().join("index"));
    house.reopen();
    in_house(&house);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..120 {
                let id = format!("w{number}");
                house.put("Patient", &id, &coloured(&id, "grey", "white")).unwrap();
            }
        });
        for round in 0..4 {
            house.put("SearchParameter", "b", &definition("b", "hairs", "http://e/hair")).unwrap();
            house.put("SearchParameter", "a", &definition("a", "eyes", "http://e/eye")).unwrap();
            assert_eq!(soon(&house, "Patient?eyes=blue").unwrap().len(), 10, "round {round}");
            house.delete("SearchParameter", "a").unwrap();
            assert_eq!(soon(&house, "Patient?hairs=red").unwrap().len(), 15, "round {round}");
            assert!(unknown(&house, "Patient?eyes=blue"), "round {round}");
        }
    });
    // Killed while an index of other parameters was made: what it had taken in is not believed.
    house.put("SearchParameter", "a", &definition("a", "eyes", "http://e/eye")).unwrap();
    let then = scratch.path().join("then");
    copy(house.index.as_ref().unwrap(), &then);
    house.kill(&then);
    assert_eq!(soon(&house, "Patient?eyes=grey").unwrap().len(), 50, "a page of them");
    assert_eq!(soon(&house, "Patient?eyes=grey&_count=500").unwrap().len(), 120);
    assert_eq!(soon(&house, "Patient?hairs=white&_count=500").unwrap().len(), 120);
    assert_index_is_the_heads(&house);
}
