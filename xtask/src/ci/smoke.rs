//! The program as a newcomer meets it: initialised on an empty directory, started, asked, stopped. The tests look closer;
//! this finds what only the whole shows, such as a command that does not start.

use super::cargo;
use crate::instance::{Instance, get};
use crate::{Outcome, workspace};

/// Initialises, starts, asks and stops.
pub(crate) fn run() -> Outcome {
    // The whole workspace, as the tests were built: one package alone has other features, and its dependencies would be
    // built again.
    cargo(&["build", "--workspace", "--bins", "--locked", "--quiet"], &[])?;
    let target = workspace::target();
    let instance = Instance::create(&target.join("debug/tacet"), &target.join("smoke"))?;
    let server = instance.serve()?;
    let expected = [("/metadata", 200, "CapabilityStatement"), ("/Patient/nobody", 401, "OperationOutcome")];
    for (path, status_expected, text_expected) in expected {
        let (status, answer) = get(server.address, path)?;
        if status != status_expected || !answer.contains(text_expected) {
            return Err(format!("GET {path} gave {status}, expected {status_expected} with a {text_expected}").into());
        }
    }
    server.stop()?;
    instance.remove()
}
