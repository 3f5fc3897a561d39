//! Which files are in a data directory, how each begins, and what the program itself does to it.
//!
//! What is not in here is foreign. A file format that is added to the data directory is added here, or it raises alarms.

/// First bytes that are looked at.
pub const HEAD_BYTES: usize = 8;

/// What kind of file a path is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Species {
    /// The root key's file: replaced by the program as a whole, never taken away.
    Root,
    /// The settings: a text that people edit.
    Settings,
    /// Changed in place all the time, and never taken away: the witness, the file of redb.
    Mutable(&'static [u8]),
    /// Changed in place, and taken away by the engine: its journals.
    Journal,
    /// Replaced as a whole, and never taken away.
    Pointer,
    /// Empty, and there for as long as the program runs.
    Lock,
    /// Written once under a name that is not used again; taken away by the program.
    Once(&'static [u8]),
    /// Written once or replaced as a whole, never changed in place; taken away by the program.
    Whole(&'static [u8]),
    /// Comes and goes.
    Passing,
    /// Somewhere where the program keeps what can be made again, in forms that are not looked at.
    Loose,
    /// Nobody's.
    Foreign,
}

impl Species {
    /// The kind of a file of this path: relative to the data directory, its parts joined by `/`.
    pub fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["root.key"] => Self::Root,
            ["tacet.toml"] => Self::Settings,
            // How a lockdown is ordered, and the forms of the root key's file while it is replaced.
            ["lockdown" | "lockdown.new" | ".root.key.new" | ".root.key.lock"] => Self::Passing,
            // How far a restore is that has not ended.
            ["restore-unfinished" | ".restore-unfinished.new"] => Self::Passing,
            // What `tacet demo` leaves for who tries it.
            ["passphrase"] => Self::Passing,
            ["store", "WITNESS"] => Self::Mutable(b"TACETWIT"),
            ["store", "rows.redb"] => Self::Mutable(b"redb"),
            ["store" | "index" | "ledger-index", "LOCK"] | ["store", "fjall", "lock"] => Self::Lock,
            ["store", "fjall", "version"] => Self::Whole(b"FJL"),
            ["store", "fjall", name] if numbered(name.strip_suffix(".jnl")) => Self::Journal,
            ["store", "fjall", "keyspaces", space, rest @ ..] if numbered(Some(space)) => match rest {
                ["current"] => Self::Pointer,
                ["tables", name] if numbered(Some(name)) => Self::Once(b"LSM"),
                ["blobs", name] if numbered(Some(name)) => Self::Once(b""),
                [name] if numbered(name.strip_prefix('v')) => Self::Once(b"\x03"),
                [name] if passing(name) => Self::Passing,
                ["tables" | "blobs", name] if passing(name) => Self::Passing,
                _ => Self::Foreign,
            },
            // What a repair of the engine's files leaves.
            ["store", "rescue" | "rescue.unfinished", ..] => Self::Loose,
            // What a `tacet init` leaves that did not come to its end.
            ["init-unfinished", ..] => Self::Loose,
            ["index" | "ledger-index", "CURRENT"] => Self::Pointer,
            ["index" | "ledger-index", "NEXT"] => Self::Passing,
            ["index", folder, name] if hexadecimal(folder) && hexadecimal(name) => Self::Whole(b""),
            ["ledger-index", name] if hexadecimal(name) => Self::Whole(b""),
            ["copies", folder, name] if hexadecimal(folder) && numbered(Some(name)) => Self::Whole(b""),
            ["backup" | "restore" | "packs" | "continuity" | "drills", ..] => Self::Loose,
            _ => Self::Foreign,
        }
    }

    /// How such a file begins, where all do alike.
    pub fn head(self) -> &'static [u8] {
        match self {
            Self::Root => b"TACETKEY",
            Self::Mutable(head) | Self::Once(head) | Self::Whole(head) => head,
            _ => b"",
        }
    }

    /// Whether it does not change in place once it is written.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Once(_) | Self::Whole(_))
    }

    /// Whether the program never takes it away while it runs.
    pub fn stays(self) -> bool {
        matches!(self, Self::Root | Self::Mutable(_) | Self::Pointer | Self::Lock)
    }
}

/// Those that must be there, whatever a walk that went on beside a replacement has missed.
pub const STAYING: [&str; 4] = ["root.key", "store/WITNESS", "store/LOCK", "store/fjall/version"];

fn numbered(name: Option<&str>) -> bool {
    name.is_some_and(|name| (1..=20).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_digit()))
}

fn hexadecimal(name: &str) -> bool {
    (16..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A file that the engine writes before it gives it its name.
fn passing(name: &str) -> bool {
    name.strip_prefix(".tmp")
        .is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Words in the names of files that ask for a ransom, in lower case. Such notes are texts for people.
const NOTE_WORDS: [&str; 9] =
    ["readme", "read_me", "decrypt", "recover", "restore", "ransom", "how_to", "how-to", "your_files"];

const NOTE_ENDINGS: [&str; 6] = [".txt", ".html", ".htm", ".hta", ".md", ".rtf"];

/// Whether a file's name is one of those that ask for a ransom.
pub fn is_note(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    NOTE_ENDINGS.iter().any(|ending| name.ends_with(ending)) && NOTE_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_data_directory_are_known() {
        for (path, species) in [
            ("root.key", Species::Root),
            ("tacet.toml", Species::Settings),
            ("store/WITNESS", Species::Mutable(b"TACETWIT")),
            ("store/fjall/0.jnl", Species::Journal),
            ("store/fjall/keyspaces/1/tables/17", Species::Once(b"LSM")),
            ("store/fjall/keyspaces/1/v12", Species::Once(b"\x03")),
            ("store/fjall/keyspaces/1/current", Species::Pointer),
            ("store/fjall/keyspaces/1/.tmpAb3dEf", Species::Passing),
            ("index/540963539beaaab952181123c0884eb4/0c154cf532f3c62482dc6255fe7735fa", Species::Whole(b"")),
            ("copies/00112233445566778899aabbccddeeff/3", Species::Whole(b"")),
            ("ledger-index/00112233445566778899aabbccddeeff", Species::Whole(b"")),
            ("store/rescue.unfinished/0.jnl", Species::Loose),
            ("restore-unfinished", Species::Passing),
            ("backup/state.new", Species::Loose),
            ("drills/00112233aabbccdd.note", Species::Loose),
            ("lockdown", Species::Passing),
        ] {
            assert_eq!(Species::of(path), species, "{path}");
        }
        for path in [
            "",
            "root.key.locked",
            "store/fjall/keyspaces/1/tables/17.lockbit",
            "store/fjall/0.jnl.x",
            "store/fjall/x.jnl",
            "index/HOW_TO.txt",
            "README.txt",
            "store/fjall/keyspaces/1/tables/../../x",
        ] {
            assert_eq!(Species::of(path), Species::Foreign, "{path}");
        }
    }

    #[test]
    fn notes_are_texts_with_such_names() {
        for path in ["HOW_TO_DECRYPT.txt", "store/README_4711.html", "x/Restore-My-Files.TXT", "!!!_READ_ME_!!!.hta"] {
            assert!(is_note(path), "{path}");
        }
        for path in ["store/restore", "notes.txt", "readme", "tacet.toml"] {
            assert!(!is_note(path), "{path}");
        }
    }
}
