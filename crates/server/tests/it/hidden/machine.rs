//! What is taken away at once, and what is sent: by whom it may be begun, and what is in it.

use crate::client::Ask;
use crate::hidden::{APART, OTHER, both};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_machine_takes_all_away() {
    let patients = [APART, &[OTHER]].concat();
    let [ward, _] = both(&patients).await;
    let begin = |path: &str| Ask::new("GET", path).header("prefer", "respond-async");
    for who in ["ward-doctor", "own-doctor", "nurse", "pharmacist", "laboratory", "desk", "patient"] {
        for path in ["/$export", "/Patient/$export", "/Group/g-leads/$export"] {
            let refused = ward.ask(who, begin(path)).await;
            assert!([403, 404].contains(&refused.status), "{who} {path}: {:?}", refused.body);
        }
    }
    let begun = ward.ask("machine", begin("/$export")).await;
    if begun.status == 403 {
        // Where a second person is asked for, the machine's copy is tested with that.
        return;
    }
    assert_eq!(begun.status, 202, "{:?}", begun.body);
    let place = begun.header("content-location").unwrap().strip_prefix(crate::ward::BASE_URL).unwrap().to_owned();
    for who in ["ward-doctor", "nurse", "desk", "patient"] {
        for path in [place.clone(), format!("{place}/0")] {
            assert_eq!(ward.get(who, &path).await.status, 404, "{who} {path}");
            assert_eq!(ward.ask(who, Ask::new("DELETE", &place)).await.status, 404);
        }
    }
}
