//! Keeping the process's memory out of files: no core dumps, no debugger of another user.

use std::io;

/// Forbids core dumps for this process: the limit for core files is set to nothing and, on Linux, the process is marked
/// as not dumpable, which also closes its memory in `/proc` to other processes of the same user.
///
/// To be called first thing by the binary, before any secret is read. It does not keep memory out of swap: encrypted
/// swap, or none, is the operator's part (said in the operator's documentation).
pub fn harden() -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn a_hardened_process_leaves_no_core() {
        harden().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        harden().unwrap(); // twice does no harm
    }
}
