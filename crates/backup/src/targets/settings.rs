//! What the settings file says of a target. No secret stands in it: keys and credentials are files of their own.

use serde::Deserialize;
use std::path::PathBuf;

/// A target, as `[backup.target]` and `[backup.keys]` name it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TargetSettings {
    /// A folder of this machine.
    Folder {
        /// Where it is. It must be there.
        path: PathBuf,
    },
    /// Another machine, over SSH.
    Ssh(SshSettings),
    /// A bucket of an S3-compatible object store.
    S3(S3Settings),
}

/// How another machine is reached over SSH.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshSettings {
    /// The machine, as `ssh` takes it: `user@host`, or a name of its own configuration.
    pub host: String,
    /// Its port, where it is another than 22.
    pub port: Option<u16>,
    /// The file with the private key of this machine. Without it `ssh` takes what it finds.
    pub identity: Option<PathBuf>,
    /// The file with the host's public key, in the form of `known_hosts`. Without it `ssh` takes its own files.
    pub known_hosts: Option<PathBuf>,
    /// The program.
    #[serde(default = "default_command")]
    pub command: PathBuf,
    /// Further arguments for it. They cannot switch off the checking of the host's key.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Seconds without progress after which a connection is given up.
    #[serde(default = "default_stall_s")]
    pub stall_s: u64,
}

fn default_command() -> PathBuf {
    PathBuf::from("ssh")
}

fn default_stall_s() -> u64 {
    60
}

/// How a bucket is reached.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// URL of the store, such as `https://s3.example.org`. `http` is taken for this machine only.
    pub endpoint: String,
    /// Its region. Stores that have none take any.
    #[serde(default = "default_region")]
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What stands before each object's name in the bucket, without a slash at its end.
    #[serde(default)]
    pub prefix: String,
    /// Whether the bucket stands in the path and not in the host's name.
    #[serde(default = "default_path_style")]
    pub path_style: bool,
    /// PEM file: the authorities whose certificates the store may have. Needed for `https`.
    pub roots: Option<PathBuf>,
    /// File with the credential, in the form of `~/.aws/credentials`. Others than its owner must not be able to read it.
    pub credentials: PathBuf,
    /// Whether objects are locked in the store until the instant until which they are to be kept.
    #[serde(default)]
    pub lock: Lock,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_path_style() -> bool {
    true
}

/// What a store is asked to do against removal.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lock {
    /// Nothing: the rights of the credential are all there is.
    #[default]
    None,
    /// Object lock in compliance mode: until its time nobody can remove an object or shorten its lock, the bucket's owner included. The bucket must have been
    /// made with object lock, which comes with versions.
    Compliance,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_what_is_unknown_is_refused() {
        let read = |text: &str| toml::from_str::<TargetSettings>(text);
        assert_eq!(
            read("kind = 'folder'\npath = '/srv/backup'").unwrap(),
            TargetSettings::Folder { path: "/srv/backup".into() }
        );
        let TargetSettings::Ssh(ssh) = read("kind = 'ssh'\nhost = 'backup@vault'\nport = 2222").unwrap() else {
            panic!()
        };
        assert_eq!((ssh.command, ssh.port, ssh.stall_s), ("ssh".into(), Some(2222), 60));
        let text =
            "kind = 's3'\nendpoint = 'https://s3.example'\nbucket = 'b'\ncredentials = '/c'\nlock = 'compliance'";
        let TargetSettings::S3(s3) = read(text).unwrap() else { panic!() };
        assert_eq!((s3.lock, s3.path_style, s3.prefix.as_str()), (Lock::Compliance, true, ""));
        for bad in [
            "kind = 'tape'\npath = '/x'",
            "path = '/x'",
            "kind = 'folder'\npath = '/x'\nmode = 1",
            "kind = 'ssh'\nhost = 'h'\nstrict = false",
            &format!("{text}\nsecret_access_key = 'x'"),
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
