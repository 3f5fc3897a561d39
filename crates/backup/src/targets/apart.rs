//! Whether two targets are one place under two names. What settings and file systems show; an account of another machine that leads to the same folder is
//! noticed when something is put ([`crate::Backup`]).

use super::{S3Settings, SshSettings, TargetSettings};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

impl TargetSettings {
    /// Why what goes to the one can be seen in the other; none where that is not known.
    pub fn shares_place_with(&self, other: &Self) -> Option<&'static str> {
        match (self, other) {
            (Self::Folder { path: one }, Self::Folder { path: other }) => folders(one, other),
            (Self::Ssh(one), Self::Ssh(other)) => machines(one, other),
            (Self::S3(one), Self::S3(other)) => buckets(one, other),
            _ => None,
        }
    }
}

fn folders(one: &Path, other: &Path) -> Option<&'static str> {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    if identity(one).is_some_and(|found| identity(other) == Some(found)) {
        return Some("they are one folder");
    }
    let (one, other) = (plain(one), plain(other));
    match (one.starts_with(&other), other.starts_with(&one)) {
        (true, true) => Some("they are one folder"),
        (true, false) | (false, true) => Some("one folder lies within the other"),
        (false, false) => None,
    }
}

/// The path without links, where the folder is there; else without what only looks different.
fn plain(path: &Path) -> PathBuf {
    let read = || {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut plain = PathBuf::new();
        for component in path.components() {
            match component {
                Component::ParentDir => drop(plain.pop()),
                Component::CurDir => {}
                other => plain.push(other),
            }
        }
        plain
    };
    path.canonicalize().unwrap_or_else(|_| read())
}

fn machines(one: &SshSettings, other: &SshSettings) -> Option<&'static str> {
    let port = |settings: &SshSettings| settings.port.unwrap_or(22);
    // The folder is in the forced command of a key.
    let same = one.host.eq_ignore_ascii_case(&other.host) && port(one) == port(other);
    let key = |settings: &SshSettings| settings.identity.as_deref().map(plain);
    (same && key(one) == key(other) && one.arguments == other.arguments)
        .then_some("they are one account of one machine, with one key")
}

fn buckets(one: &S3Settings, other: &S3Settings) -> Option<&'static str> {
    let endpoint = |settings: &S3Settings| settings.endpoint.trim_end_matches('/').to_ascii_lowercase();
    if endpoint(one) != endpoint(other) || one.bucket != other.bucket {
        return None;
    }
    let prefix = |settings: &S3Settings| PathBuf::from(settings.prefix.trim_matches('/'));
    let (one, other) = (prefix(one), prefix(other));
    (one.starts_with(&other) || other.starts_with(&one))
        .then_some("they are one part of one bucket, or one lies within the other")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> TargetSettings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn one_folder_under_two_names_is_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("b/keys")).unwrap();
        std::fs::create_dir(path("bc")).unwrap();
        std::os::unix::fs::symlink(path("b"), path("link")).unwrap();
        let of = |name: &str| TargetSettings::Folder { path: folder.path().join(name) };
        for same in ["b", "b/", "./b", "bc/../b", "link", "b/keys", "b/not/there", "", "missing/../b"] {
            assert!(of("b").shares_place_with(&of(same)).is_some(), "{same:?}");
            assert!(of(same).shares_place_with(&of("b")).is_some(), "{same:?}");
        }
        assert!(of("missing").shares_place_with(&of("missing/")).is_some());
        for other in ["bc", "missing", "bc/b"] {
            assert_eq!(of("b").shares_place_with(&of(other)), None, "{other}");
        }
    }

    #[test]
    fn accounts_and_buckets_are_told_apart() {
        let ssh = |more: &str| target(&format!("kind = 'ssh'\nhost = 'tacet@vault'\n{more}"));
        assert!(ssh("").shares_place_with(&ssh("port = 22\nstall_s = 5")).is_some());
        for other in ["port = 23", "identity = '/k'"] {
            assert_eq!(ssh("").shares_place_with(&ssh(other)), None, "{other}");
        }
        let s3 = |endpoint: &str, prefix: &str| {
            target(&format!(
                "kind = 's3'\nendpoint = '{endpoint}'\nbucket = 'b'\ncredentials = '/c'\nprefix = '{prefix}'"
            ))
        };
        let one = s3("https://S3.example/", "a");
        for same in ["a", "a/", "", "a/b"] {
            assert!(one.shares_place_with(&s3("https://s3.example", same)).is_some(), "{same}");
        }
        assert_eq!(one.shares_place_with(&s3("https://s3.example", "ab")), None);
        assert_eq!(one.shares_place_with(&s3("https://s4.example", "a")), None);
        assert_eq!(one.shares_place_with(&ssh("")), None);
    }
}
