//! The same with a real `ssh` and a real `sshd`, whose `authorized_keys` has the program's receiver as forced command for two keys.

use super::*;

/// The variable by which `cargo xtask ci` names them: a folder with the port, keys, and what the receiver writes to.
const REAL: &str = "TACET_TEST_SSH";

fn real(key: &str) -> Option<(PathBuf, SshSettings)> {
    let Some(place) = std::env::var_os(REAL).map(PathBuf::from) else {
        println!("skipped: no sshd is named by {REAL} (`cargo xtask ci --only targets` starts one)");
        return None;
    };
    let read = |name: &str| std::fs::read_to_string(place.join(name)).unwrap().trim().to_owned();
    let settings = SshSettings {
        host: format!("{}@127.0.0.1", read("user")),
        port: Some(read("port").parse().unwrap()),
        identity: Some(place.join(key)),
        known_hosts: Some(place.join("known_hosts")),
        command: "ssh".into(),
        arguments: vec!["-F".into(), "none".into()],
        stall_s: 60,
    };
    Some((place, settings))
}

#[test]
fn against_a_real_sshd_objects_go_and_come_back_and_only_the_pruner_removes() {
    let Some((place, settings)) = real("server") else { return };
    let target = Ssh::new(&settings).unwrap();
    let large: Vec<u8> = (0..5_000_000).map(|at| (at % 251) as u8).collect();
    assert_eq!(target.put_new(&name("real/a"), &large, None).unwrap(), Put::Written);
    assert_eq!(target.put_new(&name("real/a"), &large, None).unwrap(), Put::Same);
    assert!(matches!(target.put_new(&name("real/a"), b"rubbish", None), Err(TargetError::Different(_))));
    assert_eq!(target.read(&name("real/a"), Some(7..11)).unwrap(), large[7..11]);
    assert_eq!(listed_names(&target, "real/"), ["real/a"]);
    assert!(matches!(target.remove(&name("real/a")), Err(TargetError::Refused(_))));
    assert_eq!(std::fs::read(place.join("backups/real/a")).unwrap(), large);
    let (_, settings) = real("pruner").unwrap();
    let pruner = Ssh::new(&settings).unwrap();
    pruner.remove(&name("real/a")).unwrap();
    assert_eq!(listed_names(&target, "real/"), [""; 0]);
}

/// The attacker with the server's key, who asks for a shell, for files, and for another directory.
#[test]
fn against_a_real_sshd_the_key_opens_no_shell_and_no_other_folder() {
    let Some((place, settings)) = real("server") else { return };
    let target = Ssh::new(&settings).unwrap();
    target.put_new(&name("shell/a"), b"1", None).unwrap();
    let object = place.join("backups/shell/a");
    let remove = format!("rm -f {}", object.display());
    for asked in [vec![remove.as_str()], vec!["tacet backup receive --prune /"], vec!["-s", "sftp"], vec!["-tt"]] {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-i",
        ]);
        ssh.arg(place.join("server"))
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", place.join("known_hosts").display()));
        ssh.args(["-p", &settings.port.unwrap().to_string()]);
        let (options, command): (Vec<_>, Vec<_>) = asked.into_iter().partition(|word| word.starts_with('-'));
        ssh.args(options).arg(&settings.host).args(command);
        ssh.stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = ssh.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(format!("{remove}\nexit\n").as_bytes());
        let said = child.wait_with_output().unwrap();
        assert!(!said.status.success());
        let greeted = said.stdout.starts_with(b"tacet-backup") || said.stdout.is_empty();
        assert!(greeted || String::from_utf8_lossy(&said.stdout).contains("tacet-backup"), "{said:?}");
    }
    assert_eq!(std::fs::read(&object).unwrap(), b"1");
    assert_eq!(target.read(&name("shell/a"), None).unwrap(), b"1");
}

#[test]
fn against_a_real_sshd_another_host_key_and_a_key_that_is_not_known_are_told() {
    let Some((place, settings)) = real("server") else { return };
    let known = tempfile::NamedTempFile::new().unwrap();
    let other = std::fs::read_to_string(place.join("pruner.pub")).unwrap();
    let port = settings.port.unwrap();
    std::fs::write(known.path(), format!("[127.0.0.1]:{port} {other}")).unwrap();
    let off = vec!["-F".into(), "none".into(), "-o".into(), "StrictHostKeyChecking=no".into()];
    let impostor = SshSettings { known_hosts: Some(known.path().to_owned()), arguments: off, ..settings.clone() };
    let error = Ssh::new(&impostor).unwrap().read(&name("a"), None).unwrap_err().to_string();
    assert!(error.contains("erification failed"), "{error}");
    let stranger = SshSettings { identity: Some(place.join("stranger")), ..settings };
    let error = Ssh::new(&stranger).unwrap().read(&name("a"), None).unwrap_err().to_string();
    assert!(error.contains("Permission denied"), "{error}");
}
