//! The file with the credential of a bucket: the form that other S3 clients have, `~/.aws/credentials`, and of it the first section only.

use crate::target::TargetError;
use object_store::aws::AwsCredential;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Largest file in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Rights that others than the owner may not have.
const OTHERS: u32 = 0o077;

/// Reads a credential. It is in no error text.
pub(super) fn read(path: &Path) -> Result<AwsCredential, TargetError> {
    let told = |what: &str| TargetError::Settings(format!("the credentials file {} {what}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| told(&format!("cannot be opened: {error}")))?;
    let known = file.metadata().map_err(|error| told(&format!("cannot be read: {error}")))?;
    if known.mode() & OTHERS != 0 {
        return Err(told("can be read by others than its owner: `chmod 600` it"));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| told(&format!("cannot be read: {error}")))?;
    parse(&text).ok_or_else(|| told("has no `aws_access_key_id` and `aws_secret_access_key` in its first section"))
}

fn parse(text: &str) -> Option<AwsCredential> {
    let (mut key_id, mut secret_key, mut token) = (None, None, None);
    let mut sections = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if line.starts_with('[') {
            sections += 1;
            if sections > 1 {
                break;
            }
            continue;
        }
        let (name, value) = line.split_once('=')?;
        // What goes into a header must be able to.
        let value = Some(value.trim())
            .filter(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()))?;
        match name.trim() {
            "aws_access_key_id" => key_id = Some(value.to_owned()),
            "aws_secret_access_key" => secret_key = Some(value.to_owned()),
            "aws_session_token" => token = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(AwsCredential { key_id: key_id?, secret_key: secret_key?, token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_section_counts_and_half_a_credential_is_none() {
        let read = parse("# of the server\n[default]\naws_access_key_id = AK\naws_secret_access_key=s/e+c=\nregion = x\n[other]\naws_access_key_id = no").unwrap();
        assert_eq!((read.key_id.as_str(), read.secret_key.as_str(), read.token), ("AK", "s/e+c=", None));
        for bad in [
            "",
            "[default]\naws_access_key_id = AK",
            "[a]\n[b]\naws_access_key_id=x\naws_secret_access_key=y",
            "aws_access_key_id = a b\naws_secret_access_key = c",
            "nonsense",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        std::fs::write(&path, "aws_access_key_id = AK\naws_secret_access_key = hunter2\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).err().unwrap().to_string();
        assert!(error.contains("chmod 600") && !error.contains("hunter2"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap().secret_key, "hunter2");
    }
}
