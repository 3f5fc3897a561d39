//! The machine that figures belong to.

use serde::Serialize;
use std::process::Command;

/// What a reader needs to know beside a figure.
#[derive(Serialize)]
pub(crate) struct Machine {
    /// Name of the processor as the kernel gives it.
    pub(crate) processor: String,
    /// How many threads can run at a time.
    pub(crate) threads: usize,
    /// Kernel's release.
    pub(crate) kernel: String,
    /// The commit that was measured, with `+` when the tree had changes.
    pub(crate) commit: String,
}

impl Machine {
    /// Looks at this one.
    pub(crate) fn here() -> Self {
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let changed = !said("git", &["status", "--porcelain"]).is_empty();
        Self {
            processor: processor.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned()),
            threads: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: said("uname", &["-sr"]),
            commit: said("git", &["rev-parse", "--short", "HEAD"]) + if changed { "+" } else { "" },
        }
    }
}

/// What a command says, or nothing.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(crate::workspace::root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
