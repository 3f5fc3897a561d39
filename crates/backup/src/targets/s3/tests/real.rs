//! The same against a store that is not ours, with accounts, rights and locks (`clients/python/s3_store.py`).

use super::*;

/// The store's address and a file with a credential; none where no store runs.
fn real(account: &str, bucket: &str, lock: Lock) -> Option<S3Settings> {
    let Some(folder) = std::env::var_os(REAL).map(PathBuf::from) else {
        println!("skipped: no store is named by {REAL} (`cargo xtask ci --only targets` starts one)");
        return None;
    };
    let endpoint = std::fs::read_to_string(folder.join("endpoint")).unwrap().trim().to_owned();
    let file = folder.join(format!("{account}.credentials"));
    Some(S3Settings { bucket: bucket.into(), ..settings(endpoint, file, lock) })
}

#[test]
fn against_a_real_store_a_target_does_what_it_must() {
    for (bucket, lock) in [("plain-bucket", Lock::None), ("locked-bucket", Lock::Compliance)] {
        let Some(mut settings) = real("server", bucket, lock) else { return };
        settings.prefix = "all".into();
        does_what_a_target_does(&S3::new(&settings).unwrap());
    }
}

#[test]
fn against_a_real_store_locks_hold_and_grow() {
    let Some(settings) = real("server", "locked-bucket", Lock::Compliance) else { return };
    let target = S3::new(&S3Settings { prefix: "locks".into(), ..settings }).unwrap();
    let until = |text: &str| Timestamp::parse(text).ok();
    assert_eq!(target.put_new(&name("a"), b"1", until("2040-01-01T00:00:00Z")).unwrap(), Put::Written);
    assert_eq!(target.put_new(&name("a"), b"1", until("2041-01-01T00:00:00Z")).unwrap(), Put::Same);
    let head = target.run(0, |bucket| async move { bucket.access.head("locks/a", None).await }).unwrap().unwrap();
    assert_eq!(head.locked_until, until("2041-01-01T00:00:00Z"));
    let error = S3::new(&real("server", "plain-bucket", Lock::Compliance).unwrap()).unwrap();
    assert!(error.put_new(&name("never"), b"1", until("2040-01-01T00:00:00Z")).is_err());
}

#[test]
fn against_a_real_store_a_wrong_credential_is_told() {
    let Some(settings) = real("server", "plain-bucket", Lock::None) else { return };
    let folder = tempfile::tempdir().unwrap();
    let wrong = S3::new(&S3Settings { credentials: credentials(folder.path(), "nobody"), ..settings }).unwrap();
    let error = wrong.list("", &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(&error, TargetError::Refused(text) if !text.contains("hush")), "{error}");
}

/// The attacker with the server's credential: every request that could take something away, over a client of his own.
#[test]
fn against_a_real_store_whoever_has_the_credential_takes_nothing_away() {
    let Some(settings) = real("server", "locked-bucket", Lock::Compliance) else { return };
    let target = S3::new(&S3Settings { prefix: "attacked".into(), ..settings.clone() }).unwrap();
    let until = Timestamp::parse("2040-01-01T00:00:00Z").ok();
    let names: Vec<_> = (1..6).map(|number| name(&format!("snapshots/{number:012}"))).collect();
    for name in &names {
        target.put_new(name, name.as_str().as_bytes(), until).unwrap();
    }
    for name in &names {
        // By what the target can do.
        assert!(matches!(target.put_new(name, b"rubbish", None), Err(TargetError::Different(_))));
        assert!(matches!(target.remove(name), Err(TargetError::Refused(_))));
        // By what S3 can do: written over without a condition, emptied, deleted with and without a version, its lock cut short.
        let key = format!("attacked/{name}");
        let path = StorePath::parse(&key).unwrap();
        target
            .run(0, |bucket| async move {
                for rubbish in [&b"rubbish"[..], b""] {
                    let _ = bucket.plain.put_opts(&path, rubbish.to_vec().into(), PutOptions::default()).await;
                }
                let versions = bucket.access.versions_of(&key).await?;
                assert!(!versions.is_empty());
                let first = versions.last().unwrap().version.clone();
                assert!(bucket.access.remove(&key, Some(&first)).await.is_err());
                assert!(
                    bucket.access.retain(&key, Some(&first), "2026-01-01T00:00:00Z").await.is_err() || {
                        // This store lets a lock be cut short, which a real one refuses; its rights stand before the deletion all the same.
                        bucket.access.remove(&key, Some(&first)).await.is_err()
                    }
                );
                let _ = bucket.access.remove(&key, None).await;
                Ok(())
            })
            .unwrap();
    }
    // Filled with rubbish, under names that a listing of ours must survive.
    target
        .run(0, |bucket| async move {
            for odd in ["attacked/snapshots/zzz", "attacked/rubbish"] {
                let path = StorePath::parse(odd).unwrap();
                bucket.plain.put_opts(&path, vec![7; 100_000].into(), PutOptions::default()).await.unwrap();
            }
            Ok(())
        })
        .unwrap();
    let fresh = S3::new(&S3Settings { prefix: "attacked".into(), ..settings }).unwrap();
    for name in &names {
        assert_eq!(fresh.read(name, None).unwrap(), name.as_str().as_bytes());
    }
    let seen: Vec<_> = listed(&fresh, "snapshots/0").into_iter().map(|(name, _)| name).collect();
    assert_eq!(seen, names.iter().map(ToString::to_string).collect::<Vec<_>>());
}

/// What a drill tries is what a store does for whoever has the right: a refusal says something.
#[test]
fn against_a_real_store_attempts_are_refused_for_want_of_a_right_and_not_for_their_form() {
    let Some(settings) = real("server", "locked-bucket", Lock::Compliance) else { return };
    let settings = S3Settings { prefix: "attempted".into(), ..settings };
    let server = S3::new(&settings).unwrap();
    let account = real("pruner", "locked-bucket", Lock::Compliance).unwrap().credentials;
    let pruner = S3::new(&S3Settings { credentials: account, ..settings.clone() }).unwrap();
    for (at, attempt) in [Attempt::Remove, Attempt::RemoveFirst, Attempt::RemoveMany].iter().enumerate() {
        let name = name(&format!("free-{at}"));
        server.put_new(&name, b"1", None).unwrap();
        assert!(!server.attempt(&name, attempt).unwrap(), "{attempt:?}");
        assert_eq!(server.read(&name, None).unwrap(), b"1");
        assert!(pruner.attempt(&name, attempt).unwrap(), "{attempt:?}");
    }
    let held = name("held");
    server.put_new(&held, b"1", Timestamp::parse("2040-01-01T00:00:00Z").ok()).unwrap();
    let until = |text: &str| Timestamp::parse(text).unwrap();
    assert!(server.attempt(&held, &Attempt::WriteOver(b"2".to_vec())).unwrap(), "who may put may put again");
    assert!(!server.attempt(&held, &Attempt::CutLock(until("2039-01-01T00:00:00Z"))).unwrap());
    assert!(server.attempt(&held, &Attempt::CutLock(until("2041-01-01T00:00:00Z"))).unwrap(), "longer is no harm");
    for attempt in [Attempt::LoosenLock(until("2050-01-01T00:00:00Z")), Attempt::DropLock] {
        assert!(!server.attempt(&held, &attempt).unwrap(), "{attempt:?}");
    }
    for attempt in [Attempt::RemoveFirst, Attempt::RemoveMany] {
        assert!(!pruner.attempt(&held, &attempt).unwrap(), "{attempt:?} of what is locked");
    }
    for attempt in
        [Attempt::SuspendVersions, Attempt::Expire, Attempt::UnlockBucket, Attempt::OpenBucket, Attempt::RemoveBucket]
    {
        assert!(!server.attempt(&held, &attempt).unwrap(), "{attempt:?}");
    }
    assert_eq!(S3::new(&settings).unwrap().read(&held, None).unwrap(), b"1");
}

#[test]
fn against_a_real_store_the_pruning_account_removes_what_is_not_locked() {
    let Some(settings) = real("server", "locked-bucket", Lock::Compliance) else { return };
    let settings = S3Settings { prefix: "pruned".into(), ..settings };
    let target = S3::new(&settings).unwrap();
    target.put_new(&name("old"), b"1", None).unwrap();
    target.put_new(&name("kept"), b"2", Timestamp::parse("2040-01-01T00:00:00Z").ok()).unwrap();
    let account = real("pruner", "locked-bucket", Lock::Compliance).unwrap().credentials;
    let pruner = S3::new(&S3Settings { credentials: account, ..settings }).unwrap();
    assert!(matches!(target.remove(&name("old")), Err(TargetError::Refused(_))));
    pruner.remove(&name("old")).unwrap();
    pruner.remove(&name("old")).unwrap();
    assert!(matches!(pruner.remove(&name("kept")), Err(TargetError::Refused(_))));
    assert!(pruner.put_new(&name("new"), b"3", None).is_err());
    assert_eq!(
        listed(
            &S3::new(
                &real("server", "locked-bucket", Lock::Compliance)
                    .map(|real| S3Settings { prefix: "pruned".into(), ..real })
                    .unwrap()
            )
            .unwrap(),
            ""
        ),
        [("kept".to_owned(), 1)]
    );
}
