//! Filters, users and patches of a directory are read or refused within their bounds, the same each time.
//!
//! The first byte chooses what the rest is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_identity::scim::{Facts, Filter, PROVISIONED_ROLES, Patch, User};

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else { return };
    let user = User {
        user_name: "a".into(),
        external_id: None,
        display: "A".into(),
        active: true,
        role: None,
        practitioner: None,
    };
    let provisioned = |user: &User| user.role.is_none_or(|role| PROVISIONED_ROLES.contains(&role));
    match kind % 3 {
        0 => {
            let Ok(text) = std::str::from_utf8(body) else { return };
            let facts = Facts { id: "1", user_name: "a", external_id: Some("x"), display_name: "A", active: true };
            if let Ok(filter) = Filter::parse(text) {
                assert_eq!(Filter::Not(Box::new(filter.clone())).fits(&facts), !filter.fits(&facts));
                // In parentheses it says the same, unless that makes it too long or too deep.
                if let Ok(again) = Filter::parse(&format!("({text})")) {
                    assert_eq!(again, filter);
                }
            }
        }
        1 => {
            if let Ok(user) = User::parse(body) {
                assert!(provisioned(&user), "a directory gives no other role");
            }
        }
        _ => {
            if let Ok(patched) = Patch::parse(body).and_then(|patch| patch.apply(user)) {
                assert!(provisioned(&patched), "a directory gives no other role");
            }
        }
    }
});
