//! The attacks: what is bent, and who has to notice.

use super::intruder::Intruder;
use super::play::Place;
use super::stage::{Base, Copy, copy};
use crate::commands::drill::scratch::files_below;
use crate::error::CliError;
use tacet_ledger::Entry;

/// Who can notice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Watcher {
    /// The server, by what lies on its own disk: it does not start, or shows nothing.
    Server,
    /// `tacet ledger verify` on the store.
    Verify,
    /// The witness.
    Witness,
    /// A patient who kept a receipt.
    Holder,
    /// An auditor who kept a checkpoint and has the witness's key.
    Auditor,
}

impl Watcher {
    pub(super) const ALL: [Self; 5] = [Self::Server, Self::Verify, Self::Witness, Self::Holder, Self::Auditor];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Verify => "verify",
            Self::Witness => "witness",
            Self::Holder => "receipt",
            Self::Auditor => "auditor",
        }
    }
}

/// How an attack is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// On the store of a stopped server, which is started again.
    AtRest,
    /// The server is started with publication set to as good as never.
    Unpublished,
    /// While the server runs, the witness can no longer be reached.
    CutOff,
}

/// An attack.
pub(super) struct Attack {
    pub(super) id: &'static str,
    pub(super) what: &'static str,
    pub(super) how: How,
    /// Who has to notice, by what the documentation says.
    pub(super) expected: &'static [Watcher],
    /// Whether records must no longer be shown.
    pub(super) stops: bool,
    /// Said where nobody has to notice.
    pub(super) remark: &'static str,
    pub(super) act: fn(&Base, &Place<'_>) -> Result<(), CliError>,
}

use Watcher::{Auditor, Holder, Server, Verify, Witness};

const OUTSIDE: &[Watcher] = &[Witness, Holder, Auditor];
/// The server by its slow derivation, which comes to the whole of a small log within a second.
const ON_THE_ROWS: &[Watcher] = &[Server, Verify, Holder, Auditor];

/// An entry under the hashes that are kept.
const OLD: usize = 40;

/// Milliseconds of some days.
const DAYS_MS: i64 = 3 * 86_400_000;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        id: "nothing",
        what: "nothing is bent: nobody may cry wolf",
        how: How::AtRest,
        expected: &[],
        stops: false,
        remark: "the control",
        act: |_, _| Ok(()),
    },
    Attack {
        id: "edit-old",
        what: "one old entry changed in its place, sealed with the stolen key",
        how: How::AtRest,
        expected: ON_THE_ROWS,
        stops: true,
        remark: "",
        act: |base, place| edit(base, place, OLD),
    },
    Attack {
        id: "edit-recent",
        what: "one entry of today changed in its place, sealed with the stolen key",
        how: How::AtRest,
        expected: &[Server, Verify, Holder, Auditor],
        stops: true,
        remark: "",
        act: |base, place| edit(base, place, base.target),
    },
    Attack {
        id: "fork",
        what: "one entry changed, tree and head made again, checkpoints removed, signed with the stolen key",
        how: How::AtRest,
        expected: OUTSIDE,
        stops: true,
        remark: "",
        act: |base, place| {
            let intruder = Intruder::open(&place.data, &base.passphrase)?;
            let mut rows = intruder.rows()?;
            let forged = forged(&intruder, base.target)?;
            if let (Some(row), Some(forged)) = (rows.get_mut(base.target), forged) {
                *row = forged;
            }
            intruder.make(&rows)?;
            intruder.sign_again()
        },
    },
    Attack {
        id: "drop-last",
        what: "the last entries dropped and the head made again, checkpoints left as they are",
        how: How::AtRest,
        expected: &[Server, Verify, Holder, Auditor],
        stops: true,
        remark: "",
        act: |base, place| {
            let intruder = Intruder::open(&place.data, &base.passphrase)?;
            let mut rows = intruder.rows()?;
            rows.truncate(base.target);
            intruder.make(&rows)
        },
    },
    Attack {
        id: "drop-last-signed",
        what: "the last entries dropped, head and checkpoint made again with the stolen key",
        how: How::AtRest,
        expected: OUTSIDE,
        stops: true,
        remark: "",
        act: |base, place| {
            let intruder = Intruder::open(&place.data, &base.passphrase)?;
            let mut rows = intruder.rows()?;
            rows.truncate(base.target);
            intruder.make(&rows)?;
            intruder.sign_again()
        },
    },
    Attack {
        id: "drop-middle",
        what: "one entry dropped, those after it numbered and sealed anew, signed with the stolen key",
        how: How::AtRest,
        expected: OUTSIDE,
        stops: true,
        remark: "",
        act: |base, place| {
            rewrite(base, place, |entries| {
                entries.remove(base.target);
            })
        },
    },
    Attack {
        id: "hole",
        what: "one old entry's row deleted",
        how: How::AtRest,
        expected: ON_THE_ROWS,
        stops: true,
        remark: "",
        act: |base, place| Intruder::open(&place.data, &base.passphrase)?.take(OLD),
    },
    Attack {
        id: "swap",
        what: "the rows of two old entries swapped",
        how: How::AtRest,
        expected: ON_THE_ROWS,
        stops: true,
        remark: "",
        act: |base, place| {
            let intruder = Intruder::open(&place.data, &base.passphrase)?;
            let rows = intruder.rows()?;
            if let (Some(one), Some(other)) = (rows.get(OLD), rows.get(OLD + 1)) {
                intruder.put(OLD, other)?;
                intruder.put(OLD + 1, one)?;
            }
            Ok(())
        },
    },
    Attack {
        id: "older-date",
        what: "an entry with a date of three days ago inserted there, the rest numbered anew, signed with the stolen key",
        how: How::AtRest,
        expected: OUTSIDE,
        stops: true,
        remark: "",
        act: |base, place| {
            rewrite(base, place, |entries| {
                if let Some(entry) = entries.get(base.target).cloned() {
                    entries.insert(OLD, dated_back(entry));
                }
            })
        },
    },
    Attack {
        id: "appended-older-date",
        what: "an entry with a date of three days ago appended by the rules of the log",
        how: How::AtRest,
        expected: &[],
        stops: false,
        remark: "the log proves order and not what is written: it stands behind what was cosigned, so it is younger than that",
        act: |base, place| {
            let intruder = Intruder::open(&place.data, &base.passphrase)?;
            let mut entries = intruder.entries()?;
            let mut rows = intruder.rows()?;
            if let Some(entry) = entries.get(base.target).cloned() {
                entries.push(dated_back(entry));
            }
            rows.extend(intruder.sealed(&entries)?.pop());
            intruder.make(&rows)
        },
    },
    Attack {
        id: "roll-back",
        what: "the whole data directory set back to yesterday's copy",
        how: How::AtRest,
        expected: OUTSIDE,
        stops: true,
        remark: "",
        act: |base, place| {
            std::fs::remove_dir_all(&place.data).map_err(CliError::file(&place.data, "cannot be removed"))?;
            copy(&base.copy(Copy::Yesterday), &place.data)
        },
    },
    Attack {
        id: "forget",
        what: "all checkpoints and kept tiles deleted",
        how: How::AtRest,
        expected: &[],
        stops: false,
        remark: "nothing is lost by it: they are made again, and give what the witness remembers",
        act: |base, place| Intruder::open(&place.data, &base.passphrase)?.forget_checkpoints(),
    },
    Attack {
        id: "bend-tile",
        what: "a kept tile changed",
        how: How::AtRest,
        expected: &[Server, Verify],
        stops: true,
        remark: "",
        act: |base, place| Intruder::open(&place.data, &base.passphrase)?.bend_tile(),
    },
    Attack {
        id: "truncate",
        what: "the store's largest file cut in half",
        how: How::AtRest,
        expected: &[Server],
        stops: true,
        remark: "",
        act: truncate,
    },
    Attack {
        id: "replace-key",
        what: "the log's signing key replaced by the intruder's own, everything signed with it",
        how: How::AtRest,
        expected: &[Server, Witness, Holder, Auditor],
        stops: true,
        remark: "",
        act: |base, place| Intruder::open(&place.data, &base.passphrase)?.replace_key(),
    },
    Attack {
        id: "silence",
        what: "publication switched off in the settings",
        how: How::Unpublished,
        expected: &[Auditor],
        stops: false,
        remark: "",
        act: |_, _| Ok(()),
    },
    Attack {
        id: "cut-off",
        what: "the witness cut off from the running server",
        how: How::CutOff,
        expected: &[Server, Auditor],
        stops: true,
        remark: "",
        act: |_, _| Ok(()),
    },
    Attack {
        id: "between",
        what: "entries written and taken back before they are published",
        how: How::AtRest,
        expected: &[],
        stops: false,
        remark: "the window: at most `publish_seconds`, and none where somebody took a receipt in it",
        act: |base, place| {
            place.read_unpublished(base)?;
            let intruder = Intruder::open(&place.data, &base.passphrase)?;
            let mut rows = intruder.rows()?;
            let signed = usize::try_from(intruder.signed()?).unwrap_or(usize::MAX);
            if rows.len() <= signed {
                return Err(CliError::Usage("the drill could not be played: nothing was unpublished".into()));
            }
            rows.truncate(signed);
            intruder.make(&rows)
        },
    },
];

/// The row of an entry that now says that somebody else did it.
fn forged(intruder: &Intruder, index: usize) -> Result<Option<Vec<u8>>, CliError> {
    let mut entries = intruder.entries()?;
    entries.truncate(index + 1);
    if let Some(entry) = entries.last_mut() {
        entry.agent.owner = "somebody else".to_owned();
    }
    Ok(intruder.sealed(&entries)?.pop())
}

fn edit(base: &Base, place: &Place<'_>, index: usize) -> Result<(), CliError> {
    let intruder = Intruder::open(&place.data, &base.passphrase)?;
    match forged(&intruder, index)? {
        Some(row) => intruder.put(index, &row),
        None => Ok(()),
    }
}

fn rewrite(base: &Base, place: &Place<'_>, change: impl FnOnce(&mut Vec<Entry>)) -> Result<(), CliError> {
    let intruder = Intruder::open(&place.data, &base.passphrase)?;
    let mut entries = intruder.entries()?;
    change(&mut entries);
    intruder.make(&intruder.sealed(&entries)?)?;
    intruder.sign_again()
}

fn dated_back(mut entry: Entry) -> Entry {
    entry.at = entry.at.plus_ms(-DAYS_MS);
    entry
}

fn truncate(_: &Base, place: &Place<'_>) -> Result<(), CliError> {
    let mut largest: Option<(u64, std::path::PathBuf)> = None;
    for path in files_below(&place.data.join("store"))? {
        let bytes = std::fs::metadata(&path).map_err(CliError::file(&path, "cannot be read"))?.len();
        if largest.as_ref().is_none_or(|(most, _)| bytes > *most) {
            largest = Some((bytes, path));
        }
    }
    let (bytes, path) = largest.ok_or_else(|| CliError::Usage("the drill could not be played: no store".into()))?;
    let file = std::fs::OpenOptions::new().write(true).open(&path);
    file.and_then(|file| file.set_len(bytes / 2)).map_err(CliError::file(&path, "cannot be cut"))
}
